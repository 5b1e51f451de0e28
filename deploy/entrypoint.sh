#!/bin/sh
# Starts `tickgate` in an image that cannot be written to. The compiler writes into the folder of its cache even where
# it finds all that it needs, so the compiled kernel is brought from the image to where it may.
set -eu
if [ ! -d "$TICKGATE_KERNEL_CACHE" ]; then
  cp -r /opt/tickgate/kernel "$TICKGATE_KERNEL_CACHE"
fi
exec tickgate "$@"
