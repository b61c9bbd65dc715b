#!/bin/sh
# build.sh DIR: llama.cpp's llama-bench in DIR/build/bin, from the sources inside the Python package llama-cpp-python. Builds once.
set -eu
dir=$1
version=0.3.36
sum=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e
[ -x "$dir/build/bin/llama-bench" ] && exit 0
mkdir -p "$dir"
archive=llama_cpp_python-$version.tar.gz
[ -f "$dir/$archive" ] || python3 -m pip download --quiet --no-deps --no-binary :all: --dest "$dir" "llama-cpp-python==$version"
echo "$sum  $dir/$archive" | sha256sum --check --quiet
tar xzf "$dir/$archive" -C "$dir"
ln -sfn "llama_cpp_python-$version/vendor/llama.cpp" "$dir/source"
cmake -S "$dir/source" -B "$dir/build" -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DBUILD_SHARED_LIBS=OFF -DLLAMA_CURL=OFF \
  -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF >"$dir/cmake.log"
cmake --build "$dir/build" --target llama-bench --parallel 2
