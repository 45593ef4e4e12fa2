#!/usr/bin/env bash
# build.sh VERSION OUT [OS/ARCH …]: archives, their SBOMs and SHA256SUMS in the
# directory OUT, which lies outside the tree: what lies in it would mark the
# binaries as built with local changes. The same commit, version and Go give the
# same bytes again, so that anybody can check a release.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=${1:?the version, such as v1.2.3} out=${2:?the directory to write to}
shift 2
[ $# -gt 0 ] || set -- {linux,darwin,windows}/{amd64,arm64}
[[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || { echo "no version: $version" >&2; exit 2; }

mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
when=$(git log -1 --format=%ct)
export CGO_ENABLED=0 GOFLAGS=-mod=readonly TZ=UTC LC_ALL=C

# sbom lists, as CycloneDX, what the linker put into a binary: no more, no less.
sbom() {
	go version -m "$1" | awk -F '\t' -v version="$version" '
		function component(kind, name, version) {
			return sprintf("{\"type\":\"%s\",\"bom-ref\":\"pkg:golang/%s@%s\",\"name\":\"%s\",\"version\":\"%s\",\"purl\":\"pkg:golang/%s@%s\"}", kind, name, version, name, version, name, version)
		}
		NR == 1 { sub(/.*: go/, ""); all = component("library", "stdlib", $0) }
		$2 == "mod" { main = component("application", $3, version) }
		$2 == "dep" { dep[++n] = component("library", $3, $4) }
		$2 == "=>" { dep[n] = component("library", $3, $4) } # replaced: this is what was linked
		END {
			for (i = 1; i <= n; i++) all = all "," dep[i]
			printf "{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.5\",\"version\":1,\"metadata\":{\"component\":%s},\"components\":[%s]}\n", main, all
		}'
}

# The binary of this machine prints what all archives have.
go build -trimpath -o "$work/countersign" ./cmd/countersign
"$work/countersign" man >"$work/countersign.1"
mkdir "$work/completions"
"$work/countersign" completion bash >"$work/completions/countersign.bash"
"$work/countersign" completion zsh >"$work/completions/_countersign"
"$work/countersign" completion fish >"$work/completions/countersign.fish"

for target in "$@"; do
	os=${target%/*} arch=${target#*/}
	name=countersign_${version}_${os}_${arch}
	dir=$work/$name
	binary=$dir/countersign
	[ "$os" != windows ] || binary+=.exe
	mkdir "$dir"
	GOOS=$os GOARCH=$arch go build -trimpath -ldflags "-s -w -X main.release=$version" -o "$binary" ./cmd/countersign
	cp -r LICENSE README.md .github/CHANGELOG.md "$work/countersign.1" "$work/completions" "$dir"
	sbom "$binary" >"$out/$name.cdx.json"
	find "$dir" -exec touch -d "@$when" {} +
	if [ "$os" = windows ]; then
		(cd "$work" && find "$name" -type f | sort | zip -qX "$out/$name.zip" -@)
	else
		tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mode=go-w,a+rX -cf - "$name" | gzip -n9 >"$out/$name.tar.gz"
	fi
	rm -r "$dir"
done
cd "$out"
sha256sum countersign_* >SHA256SUMS
