// Keypoints of the persons of a picture, with any inference engine: crop, infer, decode.
//
//     pose PICTURE.ppm X0 Y0 X1 Y1 [X0 Y0 X1 Y1 ...]
//
// prints one line for each keypoint: person, keypoint, x, y, score.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "leanpose/crop.hpp"
#include "leanpose/geometry.hpp"
#include "leanpose/simcc.hpp"

namespace {

constexpr int width = 192, height = 256, keypoints = 3;
constexpr int split_ratio = 2;

// A batch of crops (n, 3, height, width) to logits (n, keypoints, width * 2) and (n, keypoints, height * 2). Here an
// application calls TensorRT or ONNX Runtime.
using Inference = std::function<void(const float* crops, std::ptrdiff_t n, float* simcc_x, float* simcc_y)>;

struct Keypoint {
    float x, y, score;
};

std::vector<Keypoint> estimate(const leanpose::ImageView& image, const std::vector<leanpose::Box>& boxes,
                               const Inference& infer) {
    using namespace leanpose;
    std::vector<CropItem> items;
    std::vector<Affine> transforms;
    for (const Box& box : boxes) {
        transforms.push_back(crop_transform(box, width, height, 1.25, Transform::udp));
        items.push_back({&image, transforms.back()});
    }
    const CropFormat format{width, height, {123.675, 116.28, 103.53}, {58.395, 57.12, 57.375}, ColorOrder::rgb, {}};
    const auto count = static_cast<std::ptrdiff_t>(boxes.size());
    std::vector<float> crops(boxes.size() * static_cast<std::size_t>(crop_elements(format)));
    crop_batch(items.data(), count, format, crops.data(), 2);

    constexpr std::ptrdiff_t bins_x = width * split_ratio, bins_y = height * split_ratio;
    std::vector<float> simcc_x(boxes.size() * keypoints * bins_x), simcc_y(boxes.size() * keypoints * bins_y);
    infer(crops.data(), count, simcc_x.data(), simcc_y.data());

    const SimccLogits logits{{simcc_x.data(), bins_x, keypoints * bins_x}, {simcc_y.data(), bins_y, keypoints * bins_y}};
    std::vector<float> xy(2 * keypoints * boxes.size()), scores(keypoints * boxes.size());
    SimccDecoding decoding{split_ratio};
    decoding.refine = true;
    decode_simcc(logits, nullptr, count, keypoints, transforms.data(), decoding, xy.data(), scores.data());

    std::vector<Keypoint> found;
    for (std::size_t i = 0; i < scores.size(); ++i) {
        found.push_back({xy[2 * i], xy[2 * i + 1], scores[i]});
    }
    return found;
}

// Stands in for a network: keypoint k is where channel k is brightest, over the columns and over the rows.
void brightest(const float* crops, std::ptrdiff_t n, float* simcc_x, float* simcc_y) {
    for (std::ptrdiff_t plane = 0; plane < n * keypoints; ++plane) {
        const float* const pixels = crops + plane * height * width;
        float* const x = simcc_x + plane * width * split_ratio;
        float* const y = simcc_y + plane * height * split_ratio;
        std::fill_n(x, width * split_ratio, -std::numeric_limits<float>::max());
        std::fill_n(y, height * split_ratio, -std::numeric_limits<float>::max());
        for (int v = 0; v < height; ++v) {
            for (int u = 0; u < width; ++u) {
                const float value = pixels[v * width + u];
                for (int half = 0; half < split_ratio; ++half) {
                    x[u * split_ratio + half] = std::max(x[u * split_ratio + half], value);
                    y[v * split_ratio + half] = std::max(y[v * split_ratio + half], value);
                }
            }
        }
    }
}

struct Picture {
    std::vector<std::uint8_t> bgr;
    int width, height;
};

// A binary PPM file of 8 bits and without comments.
Picture read_ppm(const char* path) {
    std::ifstream file(path, std::ios::binary);
    std::string magic;
    int columns = 0, rows = 0, largest = 0;
    file >> magic >> columns >> rows >> largest;
    file.get();
    if (!file || magic != "P6" || largest != 255 || columns < 1 || rows < 1 || columns > 1 << 15 || rows > 1 << 15) {
        throw std::runtime_error(std::string(path) + " is no binary PPM file of 8 bits");
    }
    std::vector<std::uint8_t> bytes(std::size_t{3} * static_cast<std::size_t>(columns) * static_cast<std::size_t>(rows));
    if (!file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()))) {
        throw std::runtime_error(std::string(path) + " ends too early");
    }
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::swap(bytes[i], bytes[i + 2]);
    }
    return {bytes, columns, rows};
}

}  // namespace

int main(int count, char** arguments) try {
    if (count < 6 || (count - 2) % 4 != 0) {
        std::fprintf(stderr, "usage: pose PICTURE.ppm X0 Y0 X1 Y1 [X0 Y0 X1 Y1 ...]\n");
        return 2;
    }
    const Picture picture = read_ppm(arguments[1]);
    std::vector<leanpose::Box> boxes;
    for (int i = 2; i < count; i += 4) {
        const auto number = [&](int offset) { return std::stod(arguments[i + offset]); };
        boxes.push_back({number(0), number(1), number(2), number(3)});
        if (!(boxes.back().x1 > boxes.back().x0 && boxes.back().y1 > boxes.back().y0)) {
            throw std::runtime_error("boxes are X0 Y0 X1 Y1 with X1 > X0 and Y1 > Y0");
        }
    }
    const leanpose::ImageView image{picture.bgr.data(), picture.width, picture.height, std::ptrdiff_t{3} * picture.width};
    const std::vector<Keypoint> found = estimate(image, boxes, brightest);
    for (std::size_t i = 0; i < found.size(); ++i) {
        std::printf("%zu %zu %.9g %.9g %.9g\n", i / keypoints, i % keypoints, static_cast<double>(found[i].x),
                    static_cast<double>(found[i].y), static_cast<double>(found[i].score));
    }
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "pose: %s\n", error.what());
    return 1;
}
