// Work shared out to threads that live for one call.
#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <thread>
#include <vector>

namespace leanpose {

// Calls body(begin, end) on consecutive ranges that together are 0..count, one on each of up to `threads` threads, the
// caller's among them, and returns when all are done. The first exception of a body is thrown again.
template <class Body>
void parallel_ranges(std::ptrdiff_t count, int threads, const Body& body) {
    const std::ptrdiff_t parts = std::max<std::ptrdiff_t>(std::min<std::ptrdiff_t>(threads, count), 1);
    if (parts == 1) {
        body(std::ptrdiff_t{0}, count);
        return;
    }
    std::vector<std::exception_ptr> errors(static_cast<std::size_t>(parts));
    const auto run = [&](std::ptrdiff_t part) {
        // quotient and remainder apart, so that no product overflows
        const std::ptrdiff_t share = count / parts, rest = count % parts;
        const std::ptrdiff_t begin = part * share + std::min(part, rest);
        try {
            body(begin, begin + share + (part < rest ? 1 : 0));
        } catch (...) {
            errors[static_cast<std::size_t>(part)] = std::current_exception();
        }
    };
    std::vector<std::thread> workers;
    workers.reserve(static_cast<std::size_t>(parts - 1));
    std::ptrdiff_t started = 1;
    try {
        for (; started < parts; ++started) {
            workers.emplace_back(run, started);
        }
    } catch (const std::exception&) {  // no more threads, or no memory for them: the caller's does the rest
    }
    run(0);
    for (std::ptrdiff_t part = started; part < parts; ++part) {
        run(part);
    }
    for (std::thread& worker : workers) {
        worker.join();
    }
    for (const std::exception_ptr& error : errors) {
        if (error) {
            std::rethrow_exception(error);
        }
    }
}

}  // namespace leanpose
