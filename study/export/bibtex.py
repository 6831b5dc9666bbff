"""What to cite for a study: this program, the method, and the published work that the study used."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any

_METHOD = """@misc{arxiv2512.04705,
  key = {Hardware-aware},
  title = {Hardware-aware Neural Architecture Search of Early Exiting Networks on Edge Accelerators},
  year = {2025},
  eprint = {2512.04705},
  archivePrefix = {arXiv},
}
"""

_OPTUNA = """@inproceedings{optuna,
  author = {Akiba, Takuya and Sano, Shotaro and Yanase, Toshihiko and Ohta, Takeru and Koyama, Masanori},
  title = {Optuna: A Next-generation Hyperparameter Optimization Framework},
  booktitle = {Proceedings of the 25th ACM SIGKDD International Conference on Knowledge Discovery \\& Data Mining},
  pages = {2623--2631},
  year = {2019},
  doi = {10.1145/3292500.3330701},
}
"""

_BREVITAS = """@software{brevitas,
  author = {Pappalardo, Alessandro},
  title = {Xilinx/brevitas},
  publisher = {Zenodo},
  doi = {10.5281/zenodo.3333552},
}
"""

_SAMPLERS = {
    "nsga2": """@article{nsga2,
  author = {Deb, Kalyanmoy and Pratap, Amrit and Agarwal, Sameer and Meyarivan, T.},
  title = {A Fast and Elitist Multiobjective Genetic Algorithm: {NSGA-II}},
  journal = {IEEE Transactions on Evolutionary Computation},
  volume = {6},
  number = {2},
  pages = {182--197},
  year = {2002},
  doi = {10.1109/4235.996017},
}
""",
    "nsga3": """@article{nsga3,
  author = {Deb, Kalyanmoy and Jain, Himanshu},
  title = {An Evolutionary Many-Objective Optimization Algorithm Using Reference-Point-Based Nondominated Sorting
           Approach, Part {I}: Solving Problems With Box Constraints},
  journal = {IEEE Transactions on Evolutionary Computation},
  volume = {18},
  number = {4},
  pages = {577--601},
  year = {2014},
  doi = {10.1109/TEVC.2013.2281535},
}
""",
    "tpe": """@inproceedings{motpe,
  author = {Ozaki, Yoshihiko and Tanigaki, Yuki and Watanabe, Shuhei and Onishi, Masaki},
  title = {Multiobjective Tree-Structured Parzen Estimator for Computationally Expensive Optimization Problems},
  booktitle = {Proceedings of the 2020 Genetic and Evolutionary Computation Conference},
  pages = {533--541},
  year = {2020},
  doi = {10.1145/3377930.3389817},
}
""",
}

_BACKBONES = {
    "resnet18": """@inproceedings{resnet,
  author = {He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian},
  title = {Deep Residual Learning for Image Recognition},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  pages = {770--778},
  year = {2016},
}
""",
    "mobilenet_v2": """@inproceedings{mobilenetv2,
  author = {Sandler, Mark and Howard, Andrew and Zhu, Menglong and Zhmoginov, Andrey and Chen, Liang-Chieh},
  title = {{MobileNetV2}: Inverted Residuals and Linear Bottlenecks},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  pages = {4510--4520},
  year = {2018},
}
""",
    "efficientnet_b0": """@inproceedings{efficientnet,
  author = {Tan, Mingxing and Le, Quoc V.},
  title = {{EfficientNet}: Rethinking Model Scaling for Convolutional Neural Networks},
  booktitle = {International Conference on Machine Learning (ICML)},
  pages = {6105--6114},
  year = {2019},
}
""",
}

_CIFAR10 = """@techreport{cifar10,
  author = {Krizhevsky, Alex},
  title = {Learning Multiple Layers of Features from Tiny Images},
  institution = {University of Toronto},
  year = {2009},
}
"""


def references(config: Mapping[str, Any], environment: Mapping[str, Any]) -> str:
    """BibTeX entries for a study.

    Args:
        config: Of the study.
        environment: Of the study; the commit and the name of the data are read.
    """
    commit = environment.get("commit")
    note = f"  note = {{commit {commit}}},\n" if commit else ""
    own = (
        "@software{offramp,\n"
        "  author = {{The Offramp developers}},\n"
        "  title = {Offramp: hardware-aware search of early-exit neural networks for edge accelerators},\n"
        f"  version = {{{metadata.version('offramp')}}},\n{note}}}\n"
    )
    sampler = str(config.get("search", {}).get("sampler", "nsga2")).removesuffix("-optuna")
    backbone = str(config.get("backbone", {}).get("name", "paper"))
    # The paper's backbone is made of MobileNetV2's blocks.
    backbone = "mobilenet_v2" if backbone == "paper" else backbone
    entries = [own, _METHOD, _OPTUNA, _BREVITAS, _SAMPLERS.get(sampler), _BACKBONES.get(backbone)]
    if "cifar10" in str(environment.get("data", {}).get("name", "")).lower():
        entries.append(_CIFAR10)
    return "\n".join(entry for entry in entries if entry)
