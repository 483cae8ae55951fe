// A whole picture as the input of a network: resized, a border where the shapes differ, normalised, in one pass.
#pragma once

#include <algorithm>
#include <cmath>

#include "leanpose/crop.hpp"
#include "leanpose/geometry.hpp"

namespace leanpose {

enum class Resize {
    letterbox,         // keeps the aspect ratio; the picture in the upper left corner
    letterbox_center,  // likewise, in the middle; an odd pixel over goes to the right or the bottom
    stretch,           // fills the input
};

// A whole picture's place in the input: its size in pixels and its upper left one.
struct Place {
    int left, top, width, height;
};

// Needs sizes >= 1.
inline Place place_of(int width, int height, int input_width, int input_height, Resize resize) {
    if (resize == Resize::stretch) {
        return {0, 0, input_width, input_height};
    }
    const double scale =
        std::min(static_cast<double>(input_width) / width, static_cast<double>(input_height) / height);
    const auto scaled = [scale](int side, int most) {
        return static_cast<int>(std::clamp(std::floor(side * scale + 0.5), 1.0, static_cast<double>(most)));
    };
    const int inner_width = scaled(width, input_width), inner_height = scaled(height, input_height);
    if (resize == Resize::letterbox) {
        return {0, 0, inner_width, inner_height};
    }
    return {(input_width - inner_width) / 2, (input_height - inner_height) / 2, inner_width, inner_height};
}

// Centres of input pixels -> picture, where the pixels of a picture are squares that fill its place.
inline Affine place_transform(int width, int height, const Place& place) {
    const double x = static_cast<double>(width) / place.width, y = static_cast<double>(height) / place.height;
    return {x, 0.0, (0.5 - place.left) * x - 0.5, 0.0, y, (0.5 - place.top) * y - 0.5};
}

// Writes the whole picture as crop_batch does, and returns the map from input pixels to it. Bilinear: where it shrinks
// by more than two, it skips pixels.
inline Affine letterbox(const ImageView& image, CropFormat format, Resize resize, void* out, int threads = 1) {
    format.edge = Edge::sharp;
    const Place place = place_of(image.width, image.height, format.width, format.height, resize);
    const CropItem item{&image, place_transform(image.width, image.height, place)};
    crop_batch(&item, 1, format, out, threads);
    return item.transform;
}

}  // namespace leanpose
