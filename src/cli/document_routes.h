// What the documents pipeline adds to the API: search, sources, runs and the report of one.
//   GET  /api/v1/documents/search            q limit offset type source media_type
//   GET  /api/v1/documents/sources
//   POST /api/v1/documents/sources/forget    source; removes some of its documents and says whether there are more
//   POST /api/v1/documents/runs              spec; starts a run over its sources, or joins the one at work on them
//   GET  /api/v1/runs/{id}/report
#pragma once

#include "http/router.h"
#include "storage/storage.h"

namespace millrace::cli {

// The storage must outlive the router.
void AddDocumentRoutes(http::Router& router, storage::Storage& storage);

}  // namespace millrace::cli
