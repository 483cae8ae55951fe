// One pass from interleaved 8-bit pictures to a batch of normalised crops, with no picture in between.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "leanpose/geometry.hpp"
#include "leanpose/threads.hpp"

namespace leanpose {

// Interleaved BGR, three bytes a pixel; rows may be padded, or run upwards with a negative stride.
struct ImageView {
    const std::uint8_t* data;
    int width, height;
    std::ptrdiff_t row_stride;  // bytes
};

enum class ColorOrder { rgb, bgr };
enum class Element { float32, float16, uint8 };  // uint8: rounded to nearest, saturated
enum class Layout { nchw, nhwc };

// Where the picture ends. blended: the outermost pixels fade into the border over one pixel's length. sharp: pixels are
// squares, so that the picture reaches half a pixel beyond their centres; its edge repeats in there, the border begins
// behind.
enum class Edge { blended, sharp };

// What a network takes in: (sample - mean) / std, crop after crop.
struct CropFormat {
    int width, height;
    std::array<double, 3> mean, std;  // 0..255, in the output's channel order
    ColorOrder color;
    std::array<double, 3> border;  // BGR, 0..255: the colour outside the picture
    Element element = Element::float32;
    Layout layout = Layout::nchw;
    bool flipped = false;  // each crop is followed by its mirror image
    Edge edge = Edge::blended;
};

// One person: a picture and the map from input pixels to it.
struct CropItem {
    const ImageView* image;
    Affine transform;
};

namespace detail {

// Normalisation of one channel of the picture, and the colour around it.
struct Channel {
    float scale, bias, border;
};

}  // namespace detail

}  // namespace leanpose

#define LEANPOSE_KERNELS "leanpose/crop_kernels.inl"
#include "leanpose/simd/foreach.hpp"

namespace leanpose {
namespace detail {

// The pixel at or before a coordinate, and how far behind it the coordinate lies, in 0..1.
struct Position {
    std::int64_t cell;
    float weight;
};

// Whether any neighbour of the coordinate lies in 0..length - 1; false for NaN.
inline bool touches(double coordinate, int length) {
    return coordinate > -1.0 && coordinate < length;
}

// Needs touches(coordinate, length).
inline Position position(double coordinate) {
    const std::int64_t truncated = static_cast<std::int64_t>(coordinate);
    const std::int64_t cell = truncated - (coordinate < static_cast<double>(truncated) ? 1 : 0);
    return {cell, static_cast<float>(coordinate - static_cast<double>(cell))};
}

inline float blend(float a, float b, float weight) {
    return a + weight * (b - a);
}

// Pixels begin..end - 1 of a row, none where end <= begin.
struct Interval {
    int begin, end;
};

// The part of `interval` where start + u * step lies in 0..end, end itself left out, up to one pixel of rounding.
inline Interval intersection(const Interval& interval, double start, double step, double end) {
    if (step == 0.0) {
        return start >= 0.0 && start < end ? interval : Interval{0, 0};
    }
    const double first = (step > 0.0 ? -start : end - start) / step;
    const double last = (step > 0.0 ? end - start : -start) / step;
    if (!(first < interval.end && last > interval.begin)) {  // NaN too
        return {0, 0};
    }
    const int begin = first > interval.begin ? static_cast<int>(std::ceil(first)) : interval.begin;
    const int stop = last < interval.end ? static_cast<int>(std::ceil(last)) : interval.end;
    return {begin, stop};
}

// Crops rows of one person at a time; keeps its buffers from one to the next.
class Cropper {
public:
    explicit Cropper(const CropFormat& format)
        : format_(format),
          padded_((std::ptrdiff_t{format.width} + 15) / 16 * 16),
          index_(size_of(padded_)),
          fx_(size_of(padded_)),
          fy_(size_of(padded_)),
          planes_(size_of(3 * padded_)) {
        for (std::size_t c = 0; c < 3; ++c) {
            const std::size_t target = format.color == ColorOrder::rgb ? 2 - c : c;
            channels_[c] = {static_cast<float>(1.0 / format.std[target]),
                            static_cast<float>(-format.mean[target] / format.std[target]),
                            static_cast<float>(format.border[c])};
            target_[c] = static_cast<std::ptrdiff_t>(target);
        }
    }

    // Writes the rows first..last - 1 of the crop whose first element is at `out`.
    void run(const CropItem& item, int first, int last, void* out) {
        switch (format_.element) {
            case Element::float32: return run_as(item, first, last, static_cast<float*>(out));
            case Element::float16: return run_as(item, first, last, static_cast<std::uint16_t*>(out));
            case Element::uint8: return run_as(item, first, last, static_cast<std::uint8_t*>(out));
        }
    }

private:
    static constexpr double largest_separable_step = 4.0;  // beyond it, blending whole rows costs more than it saves

    static std::size_t size_of(std::ptrdiff_t count) { return static_cast<std::size_t>(count); }

    template <class T>
    void run_as(const CropItem& item, int first, int last, T* out) {
        const Affine& transform = item.transform;
        const bool upright = transform.xv == 0.0 && transform.yu == 0.0;
        const bool separable = upright && std::abs(transform.xu) <= largest_separable_step;
        if (separable) {
            prepare_columns(*item.image, transform);
        }
        const std::ptrdiff_t width = format_.width;
        const std::ptrdiff_t plane = width * format_.height;
        const bool direct =
            std::is_same_v<T, float> && format_.layout == Layout::nchw && format_.width == padded_;
        for (int v = first; v < last; ++v) {
            T* const row = out + v * (format_.layout == Layout::nchw ? width : 3 * width);
            std::array<float*, 3> planes;
            for (std::size_t c = 0; c < 3; ++c) {
                planes[c] = planes_.data() + target_[c] * padded_;
                if constexpr (std::is_same_v<T, float>) {
                    planes[c] = direct ? row + target_[c] * plane : planes[c];
                }
            }
            const double y = settled(transform.yv * v + transform.yc, item.image->height);
            if (upright && !touches(y, item.image->height)) {
                border_row(planes);
            } else if (separable) {
                separable_row(*item.image, y, planes);
            } else {
                general_row(*item.image, transform, v, planes);
            }
            if (!direct || format_.flipped) {
                emit(row, plane, direct);
            }
        }
    }

    // The coordinate to sample at: itself, unless edges are sharp.
    double settled(double coordinate, int length) const {
        if (format_.edge == Edge::blended) {
            return coordinate;
        }
        if (coordinate < 0.0) {
            return coordinate >= -0.5 ? 0.0 : -1.0;
        }
        return coordinate > length - 1.0 ? (coordinate <= length - 0.5 ? length - 1.0 : length) : coordinate;
    }

    void border_row(const std::array<float*, 3>& planes) const {
        for (std::size_t c = 0; c < 3; ++c) {
            std::fill_n(planes[c], format_.width, channels_[c].border * channels_[c].scale + channels_[c].bias);
        }
    }

    // Which columns of the picture a row needs, and where each pixel lies in them.
    void prepare_columns(const ImageView& image, const Affine& transform) {
        std::int64_t low = std::numeric_limits<std::int64_t>::max();
        std::int64_t high = std::numeric_limits<std::int64_t>::min();
        const auto at = [&](int u) {
            const double x = settled(transform.xu * u + transform.xc, image.width);
            // outside, both neighbours are border
            return touches(x, image.width) ? position(x) : Position{x >= image.width ? image.width : -2, 0.0F};
        };
        for (int u = 0; u < format_.width; ++u) {
            const Position x = at(u);
            fx_[size_of(u)] = x.weight;
            low = std::min(low, x.cell);
            high = std::max(high, x.cell + 1);
        }
        for (std::ptrdiff_t u = 0; u < padded_; ++u) {
            const Position x = at(static_cast<int>(std::min<std::ptrdiff_t>(u, format_.width - 1)));
            index_[size_of(u)] = static_cast<std::int32_t>(3 * (x.cell - low));
        }
        spread_.resize(size_of(4 * padded_));
        LEANPOSE_DISPATCH_ON(isa_, spread_weights, fx_.data(), padded_, spread_.data());
        columns_.resize(size_of(3 * (high - low + 1) + 1));  // one more: quads are read
        columns_.back() = 0.0F;
        first_column_ = low;
        begin_ = std::clamp<std::int64_t>(low, 0, image.width);
        end_ = std::clamp<std::int64_t>(high + 1, begin_, image.width);
        for (std::int64_t column = low; column <= high; ++column) {
            if (column < 0 || column >= image.width) {
                for (std::size_t c = 0; c < 3; ++c) {
                    columns_[size_of(3 * (column - low)) + c] = channels_[c].border;
                }
            }
        }
    }

    // Needs touches(coordinate, image.height).
    void separable_row(const ImageView& image, double coordinate, const std::array<float*, 3>& planes) {
        const Position y = position(coordinate);
        const std::ptrdiff_t count = 3 * (end_ - begin_);
        float* const columns = columns_.data() + 3 * (begin_ - first_column_);
        if (y.cell >= 0 && y.cell + 1 < image.height) {
            const std::uint8_t* top = image.data + y.cell * image.row_stride + 3 * begin_;
            LEANPOSE_DISPATCH_ON(isa_, blend_rows, top, top + image.row_stride, y.weight, count, columns);
        } else {
            const bool above = y.cell < 0;
            const std::uint8_t* inside = image.data + (above ? 0 : y.cell) * image.row_stride + 3 * begin_;
            for (std::ptrdiff_t i = 0; i < count; ++i) {
                const float border = channels_[size_of(i % 3)].border;
                columns[i] = above ? blend(border, inside[i], y.weight) : blend(inside[i], border, y.weight);
            }
        }
        LEANPOSE_DISPATCH_ON(isa_, resample_row, columns_.data(), index_.data(), spread_.data(), padded_,
                             channels_.data(), planes.data());
    }

    void general_row(const ImageView& image, const Affine& transform, int v, const std::array<float*, 3>& planes) {
        const Point start = transform(0.0, v);
        const double x_end = image.width - 1.0, y_end = image.height - 1.0;
        Interval interior{0, format_.width};  // of the pixels with four neighbours in the picture
        interior = intersection(interior, start.x, transform.xu, x_end);
        interior = intersection(interior, start.y, transform.yu, y_end);
        // offsets of bytes must fit in 32 bits; rows may be longer than the stride, where they overlap
        constexpr std::ptrdiff_t largest = std::numeric_limits<std::int32_t>::max();
        const std::ptrdiff_t row = std::ptrdiff_t{3} * image.width;
        if (row > largest || std::abs(image.row_stride) > (largest - row) / image.height) {
            interior.end = interior.begin;
        }
        if (interior.begin < interior.end) {
            LEANPOSE_DISPATCH_ON(isa_, locate_row, start.x, transform.xu, std::nextafter(x_end, 0.0), start.y,
                                 transform.yu, std::nextafter(y_end, 0.0), static_cast<std::int32_t>(image.row_stride),
                                 static_cast<std::int32_t>(padded_), index_.data(), fx_.data(), fy_.data());
            LEANPOSE_DISPATCH_ON(isa_, sample_row, image.data, image.row_stride, index_.data(), fx_.data(), fy_.data(),
                                 padded_, channels_.data(), planes.data());
        }
        for (int u = 0; u < interior.begin; ++u) {
            sample_anywhere(image, transform(u, v), u, planes);
        }
        for (int u = interior.end; u < format_.width; ++u) {
            sample_anywhere(image, transform(u, v), u, planes);
        }
    }

    // Any point, even NaN or infinite: a neighbour outside the picture has the border's colour.
    void sample_anywhere(const ImageView& image, Point point, int u, const std::array<float*, 3>& planes) const {
        point = {settled(point.x, image.width), settled(point.y, image.height)};
        const bool near = touches(point.x, image.width) && touches(point.y, image.height);
        const Position x = near ? position(point.x) : Position{-2, 0.0F};
        const Position y = near ? position(point.y) : Position{-2, 0.0F};
        const auto neighbour = [&](std::int64_t column, std::int64_t row, std::size_t c) -> float {
            const bool inside = column >= 0 && column < image.width && row >= 0 && row < image.height;
            return inside ? image.data[row * image.row_stride + 3 * column + static_cast<std::ptrdiff_t>(c)]
                          : channels_[c].border;
        };
        for (std::size_t c = 0; c < 3; ++c) {
            const float top = blend(neighbour(x.cell, y.cell, c), neighbour(x.cell + 1, y.cell, c), x.weight);
            const float bottom =
                blend(neighbour(x.cell, y.cell + 1, c), neighbour(x.cell + 1, y.cell + 1, c), x.weight);
            planes[c][u] = blend(top, bottom, y.weight) * channels_[c].scale + channels_[c].bias;
        }
    }

    // Converts the planes of one row and puts it, and its mirror image, in place; `direct` rows are there already.
    template <class T>
    void emit(T* row, std::ptrdiff_t plane, bool direct) {
        const std::ptrdiff_t width = format_.width;
        std::array<const T*, 3> planes;
        for (std::ptrdiff_t c = 0; c < 3; ++c) {
            const float* const values = planes_.data() + c * padded_;
            if constexpr (std::is_same_v<T, float>) {
                planes[size_of(c)] = direct ? row + c * plane : values;
            } else {
                T* const converted = converted_planes<T>() + c * padded_;
                if constexpr (std::is_same_v<T, std::uint16_t>) {
                    LEANPOSE_DISPATCH_ON(isa_, halves_of, values, padded_, converted);
                } else {
                    std::transform(values, values + width, converted, [](float value) {
                        return static_cast<T>(std::min(std::max(0.0F, value), 255.0F) + 0.5F);  // 0 for NaN
                    });
                }
                planes[size_of(c)] = converted;
            }
        }
        T* const mirror = row + 3 * plane;
        if (format_.layout == Layout::nchw) {
            for (std::ptrdiff_t c = 0; c < 3; ++c) {
                const T* const values = planes[size_of(c)];
                if (!direct) {
                    std::copy_n(values, width, row + c * plane);
                }
                if (format_.flipped) {
                    std::reverse_copy(values, values + width, mirror + c * plane);
                }
            }
            return;
        }
        for (std::ptrdiff_t u = 0; u < width; ++u) {
            for (std::ptrdiff_t c = 0; c < 3; ++c) {
                row[3 * u + c] = planes[size_of(c)][u];
            }
        }
        if (format_.flipped) {
            for (std::ptrdiff_t u = 0; u < width; ++u) {
                for (std::ptrdiff_t c = 0; c < 3; ++c) {
                    mirror[3 * u + c] = planes[size_of(c)][width - 1 - u];
                }
            }
        }
    }

    template <class T>
    T* converted_planes() {
        converted_.resize(size_of(3 * padded_));
        if constexpr (std::is_same_v<T, std::uint16_t>) {
            return converted_.data();
        } else {
            return reinterpret_cast<T*>(converted_.data());  // bytes may alias anything
        }
    }

    Isa isa_ = active_isa();  // for good: the order of spread_ depends on it, and use_isa may be called meanwhile
    CropFormat format_;
    std::ptrdiff_t padded_;
    std::array<Channel, 3> channels_;        // in the picture's order
    std::array<std::ptrdiff_t, 3> target_;   // the output channel of each
    std::vector<std::int32_t> index_;        // of each pixel's first neighbour
    std::vector<float> fx_, fy_, spread_;    // weights
    std::vector<float> columns_;             // a row of the picture, blended vertically, border included
    std::int64_t first_column_ = 0, begin_ = 0, end_ = 0;
    std::vector<float> planes_;              // a row of the crop, channel after channel in the output's order
    std::vector<std::uint16_t> converted_;
};

}  // namespace detail

// Elements of one crop with its mirror image, where it has one.
constexpr std::ptrdiff_t crop_elements(const CropFormat& format) {
    return std::ptrdiff_t{3} * format.height * format.width * (format.flipped ? 2 : 1);
}

// Writes the crops of `count` persons one after the other to `out`, count * crop_elements(format) elements, in
// channel, row, column (nchw) or row, column, channel order (nhwc). Each value is the bilinear sample of the picture,
// with weights that are not rounded, normalised. Never reads outside the pictures, whatever the transforms hold. Needs
// every size >= 1 and std > 0. Rows are shared out to up to `threads` threads.
inline void crop_batch(const CropItem* items, std::ptrdiff_t count, const CropFormat& format, void* out,
                       int threads = 1) {
    const std::ptrdiff_t bytes = crop_elements(format) * (format.element == Element::float32   ? 4
                                                          : format.element == Element::float16 ? 2
                                                                                               : 1);
    parallel_ranges(count * format.height, threads, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        detail::Cropper cropper(format);
        while (begin < end) {
            const std::ptrdiff_t item = begin / format.height;
            const std::ptrdiff_t first = begin % format.height;
            const std::ptrdiff_t last = std::min<std::ptrdiff_t>(format.height, first + end - begin);
            cropper.run(items[item], static_cast<int>(first), static_cast<int>(last),
                        static_cast<unsigned char*>(out) + item * bytes);
            begin += last - first;
        }
    });
}

}  // namespace leanpose
