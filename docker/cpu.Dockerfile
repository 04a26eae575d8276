# The node on a CPU, on ROS 2 Jazzy. NOT RUN here: there is no Docker where this was written.
#
#     docker build -f docker/cpu.Dockerfile -t metric_depth .
#     docker run --rm --net=host --ipc=host metric_depth \
#         ros2 launch metric_depth_ros metric_depth.launch.py image:=/camera/image_raw \
#         camera_info:=/camera/camera_info anchors:=/lidar/points
#     docker run --rm -v "$PWD:/data" -w /data metric_depth metric_depth try
#
# --net and --ipc=host: DDS finds the other nodes, and large messages go through shared memory.
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-perception

# Ubuntu 24.04 guards the system's Python; the container is ours. cv_bridge needs NumPy 1.
ENV PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_CACHE_DIR=1
WORKDIR /ws
COPY . src/metric_depth_ros
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-pip \
    && rosdep update --rosdistro "$ROS_DISTRO" \
    && rosdep install --from-paths src --ignore-src -y --dependency-types exec \
    && pip install "numpy<2" \
    && rm -rf /var/lib/apt/lists/*
RUN . "/opt/ros/$ROS_DISTRO/setup.sh" && colcon build --packages-select metric_depth_ros

# What the package starts by; it sources the workspace first.
RUN printf '#!/bin/sh\nset -e\n. /ws/install/setup.sh\nexec "$@"\n' > /entry && chmod +x /entry
ENV PATH=/ws/install/metric_depth_ros/lib/metric_depth_ros:$PATH
ENTRYPOINT ["/entry"]
CMD ["ros2", "launch", "metric_depth_ros", "metric_depth.launch.py"]
