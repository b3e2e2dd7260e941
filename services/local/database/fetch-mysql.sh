#!/usr/bin/env bash
# Puts Oracle MySQL, which no Debian release has, into a folder and touches nothing else: sid's mysql-server-core with
# every library down to its libc, unpacked, and bin/mysqld, which runs it through its own ld.so. On Debian, from the
# mirror that the machine uses, checked by the archive's keys; no root needed. Usage: fetch-mysql.sh FOLDER
set -euo pipefail
folder=$(realpath -m "$1")
arch=$(dpkg --print-architecture)
mkdir -p "$folder"/apt/{lists/partial,cache/archives/partial} "$folder"/root "$folder"/bin
# Where the machine's own packages come from, also where it has never read their lists.
uris=$(apt-get --print-uris update || true)
[[ $uris =~ \'(https?://[^\']*/debian)/+dists/ ]] ||
  { echo "no Debian mirror is configured on this machine" >&2; exit 1; }
site=${BASH_REMATCH[1]}
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg arch=$arch] $site sid main" >"$folder/apt/sources.list"
: >"$folder/apt/status"
options=(-qq -o Dir::Etc::SourceList="$folder/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::Etc::Preferences=/dev/null
  -o Dir::Etc::PreferencesParts=/dev/null -o Dir::State::Lists="$folder/apt/lists" -o Dir::State::status="$folder/apt/status"
  -o Dir::Cache="$folder/apt/cache" -o Acquire::Languages=none -o Debug::NoLocking=true
  -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false
  -o APT::Install-Recommends=false -o APT::Get::AllowUnauthenticated=false)
[[ $EUID != 0 ]] || options+=(-o APT::Sandbox::User=root)
echo "reading the package lists of $site sid"
apt-get "${options[@]}" update
echo "downloading mysql-server-core and its libraries"
# Nothing counts as installed, so that all of it comes: libraries of two releases must not mix.
apt-get "${options[@]}" --yes --download-only install mysql-server-core >/dev/null
echo "unpacking"
for package in "$folder"/apt/cache/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$package" |
    tar -x -C "$folder/root" --no-same-owner --wildcards --exclude='./usr/share/doc*' --exclude='./usr/share/man*' \
      --exclude='./usr/share/locale*' --exclude='./usr/share/perl*' --exclude='./usr/lib/*/perl*' --exclude='./var*' \
      --exclude='./etc*'
done
rm -rf "$folder/apt"
triplet=$(cd "$folder/root/usr/lib" && echo *-linux-gnu*)
loader=$(cd "$folder/root" && echo usr/lib/"$triplet"/ld-linux-*.so.?)
# By its own place, so that the folder may be moved.
cat >"$folder/bin/mysqld" <<SCRIPT
#!/bin/sh
root=\$(dirname "\$(dirname "\$(realpath "\$0")")")/root
first=; [ "\$1" = --no-defaults ] && { first=--no-defaults; shift; }
exec "\$root/$loader" --library-path "\$root/usr/lib/$triplet" "\$root/usr/sbin/mysqld" \$first --basedir="\$root/usr" \\
  --lc-messages-dir="\$root/usr/share/mysql" --character-sets-dir="\$root/usr/share/mysql/charsets" \\
  --plugin-dir="\$root/usr/lib/mysql/plugin" "\$@"
SCRIPT
chmod +x "$folder/bin/mysqld"
"$folder/bin/mysqld" --no-defaults --secure-file-priv=NULL --version >/dev/null
