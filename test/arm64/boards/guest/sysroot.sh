#!/usr/bin/env bash
# sysroot.sh DIR: an arm64 system with Python, LiteRT, ncnn and onnxruntime for
# test/arm64/boards --sysroot. Needs apt, dpkg, pip and unzip; installs nothing on this
# machine.
set -euo pipefail
dir=$(realpath -m "${1:?usage: sysroot.sh DIR}")
mkdir -p "$dir/site" "$dir/.apt/lists/partial" "$dir/.apt/archives/partial" "$dir/.wheels"
touch "$dir/.apt/status"
apt=(apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Install-Recommends=false
  -o Dir::State="$dir/.apt" -o Dir::State::status="$dir/.apt/status" -o Dir::Cache="$dir/.apt")
"${apt[@]}" update
"${apt[@]}" -y --download-only install libc6 libstdc++6 libgcc-s1 libgomp1 python3.11
for deb in "$dir"/.apt/archives/*.deb; do dpkg -x "$deb" "$dir"; done
platforms=()
for glibc in 17 24 27 28 31 34 35; do platforms+=(--platform "manylinux_2_${glibc}_aarch64"); done
python3 -m pip download -q --no-deps --only-binary=:all: "${platforms[@]}" --python-version 3.11 --implementation cp \
  -d "$dir/.wheels" numpy ai-edge-litert ncnn onnxruntime
for wheel in "$dir"/.wheels/*.whl; do unzip -qo "$wheel" -d "$dir/site"; done
