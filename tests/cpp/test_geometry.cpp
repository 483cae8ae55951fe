// Boxes to transforms.

#include "check.hpp"
#include "leanpose/geometry.hpp"

namespace {

using namespace leanpose;
using namespace leanpose::test;

void test_geometry() {
    const Box wide{10.0, 20.0, 50.0, 30.0};
    const Affine plain = crop_transform(wide, 100, 50, 1.0, Transform::plain);
    CHECK(near(plain(0, 0).x, 10.0) && near(plain(0, 0).y, 15.0));
    CHECK(near(plain(100, 50).x, 50.0) && near(plain(100, 50).y, 35.0));
    const Affine udp = crop_transform(wide, 100, 50, 1.0, Transform::udp);
    CHECK(near(udp(99, 49).x, 50.0) && near(udp(99, 49).y, 35.0));
    const Affine tall = crop_transform({0.0, 0.0, 2.0, 40.0}, 30, 40, 1.25, Transform::plain);
    CHECK(near(tall.xu, 1.25) && near(tall.yu, 0.0) && near(tall.xv, 0.0) && near(tall.yv, 1.25));
    CHECK(near(tall(15, 20).x, 1.0) && near(tall(15, 20).y, 20.0));
}

}  // namespace

int main() {
    test_geometry();
    return failed();
}
