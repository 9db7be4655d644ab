// The door to Boost.JSON's event parser, boost::json::basic_parser<Handler>: for documents too large to be built as
// values. Apart from json.h because its templates are slow to compile.
#pragma once

#include <boost/json/basic_parser_impl.hpp>

#include "base/json.h"
