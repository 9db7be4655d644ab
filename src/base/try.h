// Passing errors on without ceremony.
#pragma once

#include "millrace/error.h"

#define MILLRACE_CONCAT_(a, b) a##b
#define MILLRACE_CONCAT(a, b) MILLRACE_CONCAT_(a, b)

// Returns the error of a Result, if it has one, from the enclosing function.
#define MILLRACE_TRY(expression)                           \
  do {                                                     \
    if (auto result_ = (expression); !result_) {           \
      return ::millrace::fail(std::move(result_).error()); \
    }                                                      \
  } while (false)

// `MILLRACE_ASSIGN(auto x, F());`: x is F's value, or its error is returned.
#define MILLRACE_ASSIGN(declaration, expression) \
  MILLRACE_ASSIGN_(MILLRACE_CONCAT(result_, __LINE__), declaration, expression)
// A declaration and a name cannot stand in parentheses.
// NOLINTBEGIN(bugprone-macro-parentheses)
#define MILLRACE_ASSIGN_(name, declaration, expression)        \
  auto name = (expression);                                    \
  if (!name) return ::millrace::fail(std::move(name).error()); \
  declaration = std::move(*name)
// NOLINTEND(bugprone-macro-parentheses)
