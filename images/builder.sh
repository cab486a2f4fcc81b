# What `build` and `sbom` share: the tool that builds, and the names.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
roles=(pipeline trainer runtime controller)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)

# A command on the PATH is not enough: docker without its daemon builds nothing.
works() { "$1" info > /dev/null 2>&1; }

builder=${BUILDER:-}
for candidate in docker podman buildah; do
  [ -n "$builder" ] || ! works "$candidate" || builder=$candidate
done
if [ -z "$builder" ] || ! works "$builder"; then
  echo "No image can be built here: ${builder:-docker, podman and buildah} cannot be called, or gives no answer." >&2
  echo "One of docker (with its daemon running), podman and buildah is needed." >&2
  echo "Install or start one; BUILDER=podman chooses where there are several." >&2
  exit 1
fi

# image_build OPTION…: builds from this folder.
image_build() {
  local index=()
  [ -z "${PIP_INDEX_URL:-}" ] || index=(--build-arg PIP_INDEX_URL)
  case $builder in
    docker) DOCKER_BUILDKIT=1 docker build "${index[@]}" "$@" . ;;
    podman) podman build --layers "${index[@]}" "$@" . ;;
    # chroot: where a container for each RUN cannot be had, as inside another container.
    buildah) buildah bud --layers --isolation "${BUILDAH_ISOLATION:-chroot}" "${index[@]}" "$@" . ;;
  esac
}
