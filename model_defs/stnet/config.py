"""Configurations of STNet: the rows of its tables."""

from __future__ import annotations

from dataclasses import dataclass, replace

SCALES = 4  # branches of a unit


@dataclass(frozen=True)
class STNetConfig:
    """One STNet; `halving`, `mix_attention`, `branches`, `mdbs` and `stf` are tables I, III, IX and X."""

    input_size: tuple[int, int]  # height, width
    num_keypoints: int = 17
    stages: int = 1  # stair units
    width: int = 32  # of the first branch; every further one has twice as many channels
    cells: int = 4  # in a row, in every branch of every exchange
    branches: int = 4  # c of a stair cell: dilations 1 to c
    halving: bool = True
    mix_attention: bool = True
    mdbs: bool = True
    stf: bool = True

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of a unit's branches, finest first."""
        return tuple(self.width * 2**i for i in range(SCALES))


def _configs() -> dict[str, STNetConfig]:
    coco = {
        f"stnet-{stages}stage-{height}x{width}": STNetConfig((height, width), stages=stages)
        for stages in (1, 2, 3)
        for height, width in ((256, 192), (384, 288))
    }
    one, three = coco["stnet-1stage-256x192"], coco["stnet-3stage-384x288"]
    return {
        **coco,
        "stnet-3stage-star-384x288": replace(three, halving=False),
        "stnet-1stage-nohalving-256x192": replace(one, halving=False),  # table I
        "stnet-1stage-nomixattention-256x192": replace(one, mix_attention=False),  # table III
        **{f"stnet-{stages}stage-mpii-256x256": STNetConfig((256, 256), 16, stages) for stages in (1, 2, 3)},
    }


CONFIGS = _configs()
ABLATION = {
    **{
        f"{stages}-stage, {'' if mdbs else 'no '}MDBS, {'' if stf else 'no '}STF": replace(
            CONFIGS[f"stnet-{stages}stage-256x192"], mdbs=mdbs, stf=stf
        )
        for stages in (1, 2)
        for mdbs, stf in ((False, False), (True, False), (True, True))  # table X
    },
    **{
        f"{stages}-stage, c={branches}": replace(CONFIGS[f"stnet-{stages}stage-256x192"], branches=branches)
        for stages, counts in ((1, range(1, 7)), (2, (1, 4)), (3, (1, 4)))  # table IX
        for branches in counts
    },
}
