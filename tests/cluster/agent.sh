#!/bin/sh
# agent.sh HOST COMMAND..: what mpirun calls in the place of ssh: runs COMMAND behind the link of tests/cluster/link, as another machine.
shift
exec nsenter --net="$LINK_PEER" unshare -u sh -c "hostname behind-the-link; $*"
