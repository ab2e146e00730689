# The whole system over ROS 2 Jazzy from apt. READ ONLY, NEVER BUILT: where it was written there was no builder.
#
#     docker build -t rig_robot . && docker run --rm --shm-size 256m rig_robot ros2 launch rig_robot sim.launch.py goals:=10
#
# A robot's nodes need the network and the camera: --network host --device /dev/video0, and shared memory for frames
# (--ipc host, or --shm-size as above: a container's own 64 MiB are too few, docs/architecture.md).
FROM ros:jazzy-ros-base

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-pip python3-venv python3-colcon-common-extensions \
       libegl1 libgl1-mesa-dri libgl1 libglib2.0-0 libusb-1.0-0 \
       ros-jazzy-tf2-msgs ros-jazzy-visualization-msgs ros-jazzy-diagnostic-msgs \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /ws
COPY . src/rig_robot
# As in README.md, "With your own ROS 2": an environment over the system's packages, whose interpreter colcon gives to
# the nodes. torch for the CPU comes from its own index, or pip would take the one with CUDA.
RUN python3 -m venv --system-site-packages venv && touch venv/COLCON_IGNORE \
    && source venv/bin/activate && source /opt/ros/jazzy/setup.bash \
    && pip install --no-cache-dir torch --index-url https://download.pytorch.org/whl/cpu \
    && pip install --no-cache-dir 'numpy<2' 'setuptools<80' ./src/rig_robot \
    && python -m colcon build --packages-select rig_robot

RUN printf '%s\n' '#!/bin/bash' 'set -e' 'source /ws/venv/bin/activate' 'source /opt/ros/jazzy/setup.bash' \
    'source /ws/install/setup.bash' 'exec "$@"' > /entry.sh && chmod +x /entry.sh
ENTRYPOINT ["/entry.sh"]
CMD ["rig", "sim", "--goals", "10"]
