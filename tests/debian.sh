# shellcheck shell=bash
# Debian systems made by debootstrap; sourced by run.sh and bare.sh.

# The mirror that apt uses for Debian; nothing on a machine that is not Debian.
debian_mirror() {
    # shellcheck disable=SC2016  # apt-get's variables
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' \
        'Component: main' 2>/dev/null | grep -v security | head -n 1 || true
}

# The proxy for HTTP, from the environment or from apt's configuration.
debian_proxy() {
    local proxy=''
    ! command -v apt-config >/dev/null || eval "$(apt-config shell proxy Acquire::http::Proxy)"
    echo "${http_proxy:-$proxy}"
}

# SUITE ROOT PACKAGE…: a minimal Debian with these packages in the folder ROOT.
debootstrap_into() {
    local suite=$1 root=$2 mirror
    shift 2
    local packages="$*"
    mirror=$(debian_mirror)
    # In its own mount namespace, so that no mount outlives it.
    http_proxy=$(debian_proxy) unshare --mount --propagation private \
        debootstrap --variant=minbase --include="${packages// /,}" "$suite" "$root" \
        ${mirror:+"$mirror"} || return
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
}
