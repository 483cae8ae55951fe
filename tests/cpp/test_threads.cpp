// Work on many threads, and where none can be started.
#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "leanpose/threads.hpp"

namespace {

thread_local int allocations_left = -1;  // negative: as many as there is memory for

}  // namespace

void* operator new(std::size_t size) {
    if (allocations_left == 0) {
        throw std::bad_alloc();
    }
    allocations_left -= allocations_left > 0 ? 1 : 0;
    void* const memory = std::malloc(size);
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    return memory;
}

void operator delete(void* memory) noexcept {
    std::free(memory);
}

void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

namespace {

using namespace leanpose;
using namespace leanpose::test;

void test_every_index_once() {
    for (const std::ptrdiff_t count : {0, 1, 2, 7, 100}) {
        for (const int threads : {1, 2, 3, 8, 200}) {
            std::vector<int> visits(static_cast<std::size_t>(count));
            parallel_ranges(count, threads, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
                for (std::ptrdiff_t i = begin; i < end; ++i) {
                    ++visits[static_cast<std::size_t>(i)];
                }
            });
            CHECK(std::count(visits.begin(), visits.end(), 1) == count);
        }
    }
}

void test_exceptions_arrive() {
    bool caught = false;
    try {
        parallel_ranges(8, 4, [](std::ptrdiff_t begin, std::ptrdiff_t) {
            if (begin > 0) {
                throw std::runtime_error("one of the others");
            }
        });
    } catch (const std::runtime_error&) {
        caught = true;
    }
    CHECK(caught);
}

// With memory for some threads only, the caller does the rest of the work.
void test_no_memory_for_threads() {
    for (int allocations = 2; allocations < 8; ++allocations) {
        std::vector<int> visits(8);
        allocations_left = allocations;  // two are for the lists of errors and of threads
        parallel_ranges(8, 8, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
            for (std::ptrdiff_t i = begin; i < end; ++i) {
                ++visits[static_cast<std::size_t>(i)];
            }
        });
        allocations_left = -1;
        CHECK(std::count(visits.begin(), visits.end(), 1) == 8);
    }
}

}  // namespace

int main() {
    test_every_index_once();
    test_exceptions_arrive();
    test_no_memory_for_threads();
    return failed();
}
