#!/bin/sh
# Make the secrets that docker-compose.yml reads, each in a file of its own. Those that are there stay.
# Usage: deploy/secrets.sh FOLDER
set -eu
folder=${1:?usage: deploy/secrets.sh FOLDER}
mkdir -p "$folder"
# The folder keeps others out; the files are read by the users in the containers.
chmod 700 "$folder"
for name in database_password broker_password metrics_token; do
  [ -s "$folder/$name" ] && continue
  head -c 24 /dev/urandom | base64 | tr '+/' '-_' >"$folder/$name"
  chmod 444 "$folder/$name"
done
