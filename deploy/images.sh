#!/usr/bin/env bash
# Build the images sfumato-server and sfumato-worker from this checkout.
#
#   deploy/images.sh [server] [worker] [-- OPTIONS OF THE ENGINE, such as --build-arg NAME=VALUE]
#
# Docker or Podman where one answers. Without an engine, root's buildah, which needs no daemon and no
# namespaces (--isolation chroot); where no registry can be reached, on a base that debootstrap makes
# of Debian's packages. SFUMATO_TAG is the images' tag (latest), SFUMATO_DEBIAN the mirror.
set -euo pipefail
cd "$(dirname "$0")/.."

tag=${SFUMATO_TAG:-latest}
mirror=${SFUMATO_DEBIAN:-http://deb.debian.org/debian}
base=docker.io/library/debian:bookworm-slim
made=localhost/sfumato-debian:bookworm
targets=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  targets+=("$1")
  shift
done
[ $# -eq 0 ] || shift
[ ${#targets[@]} -gt 0 ] || targets=(server worker)

debian_by_debootstrap() {
  buildah inspect --type image "$made" >/dev/null 2>&1 && return
  command -v debootstrap >/dev/null || {
    echo "no registry answers, and there is no debootstrap to make a base: apt-get install debootstrap" >&2
    exit 1
  }
  local folder container
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  debootstrap --variant=minbase bookworm "$folder" "$mirror"
  container=$(buildah from scratch)
  buildah add --quiet "$container" "$folder" / >/dev/null
  buildah commit --quiet --rm "$container" "$made" >/dev/null
}

if docker info >/dev/null 2>&1; then
  build=(docker build)
elif podman info >/dev/null 2>&1; then
  build=(podman build)
elif command -v buildah >/dev/null && [ "$(id -u)" = 0 ]; then
  build=(buildah bud --isolation chroot --layers)
  if ! timeout 60 buildah pull --quiet "$base" >/dev/null 2>&1; then
    debian_by_debootstrap
    build+=(--build-arg "BASE=$made")
  fi
else
  echo "no engine answers: start Docker or Podman, or, as root on Debian: apt-get install buildah debootstrap" >&2
  exit 1
fi

for target in "${targets[@]}"; do
  "${build[@]}" "$@" --target "$target" --tag "sfumato-$target:$tag" .
done
