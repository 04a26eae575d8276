# The node with TensorRT on an NVIDIA GPU, upon docker/cpu.Dockerfile.
#
# NOT RUN: neither this file nor the runtime tensorrt has run on a GPU here (docs/runtimes.md says what has).
#
#     docker build -f docker/cpu.Dockerfile -t metric_depth .
#     docker build -f docker/tensorrt.Dockerfile -t metric_depth:tensorrt .
#     docker run --rm --gpus all --net=host --ipc=host -v metric_depth_plans:/root/.cache metric_depth:tensorrt \
#         metric_depth build --set engine.runtime=tensorrt
#
# The driver of the host brings libcuda (nvidia-container-toolkit); the volume keeps the plans that were built.
FROM metric_depth

# 12: CUDA 12, of drivers from 525 on. The wheels come from NVIDIA's own index.
RUN pip install --extra-index-url https://pypi.nvidia.com "tensorrt-cu12>=10.3,<11"
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
