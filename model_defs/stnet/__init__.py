"""STNet: stair cells in a small multi-branch unit that is stacked for coarse-to-fine poses.

Jiang, Huang, Zhang, Wang, Xiao, Niu, Hussain: "Towards Simple and Accurate Human Pose Estimation with Stair Network",
IEEE Transactions on Emerging Topics in Computational Intelligence 7(3), 2023, https://arxiv.org/abs/2202.09115.
Equation, section, figure and table numbers in this package are that paper's. Unbiased data processing is its
reference 24; decoding has its heatmap form.

A statement of the text and the tables exclude each other. Section III-B counts (4, 3, 2, 1) blocks in the branches of
a unit beside 4 x (4, 3, 2, 1) of HRNet, whose first stage is the residual blocks of its stem: (3, 3, 2, 1) places
behind the stem. With one separable cell of equations 1 and 2 at each place (`cells=1`) one stage has 4.6 M parameters
where 5.7 M are printed, and gains 0.7 M without halving where table I says 3.0 M. With four cells at each place, as
HRNet has blocks, tables I, III, V, VI and X hold alike: a block is taken to be such a row of cells.

Where the paper is silent, these choices meet its printed sizes: HRNet's stem, transitions and exchanges; stair
convolutions between two 1x1 ones; attention of hidden width 16 in all branches (reduction rates 2, 4, 8, 16), then
a 7x7 convolution over its two masks; 3x3 convolutions from the dual branch structure into the next unit and the
fusion; coarse branches of a unit join those of the next; texture blocks of four 3x3 convolutions of width 16; 3x3
convolutions behind the concatenation; upsampling and then a 4x4 deconvolution of stride 1; without STF a sum over the
branches by 1x1 convolutions. The loss is not described: every unit but the last has a head of its own in training,
with the weight of the final one.
"""

from __future__ import annotations

from .config import ABLATION, CONFIGS, STNetConfig
from .network import STNet

__all__ = ["ABLATION", "CONFIGS", "STNet", "STNetConfig"]
