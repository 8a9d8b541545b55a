# Runs in Debian's busybox, on Linux and on wick: the output has to be the same.
set -u
cd "$1"

echo == processes and pipes
seq 1 1000 | grep 7 | awk '{s += $1} END {print NR, s}'
yes wick | head -n 50000 | wc -lc
(exit 7); echo "status $?"
sh -c 'kill -TERM $$'; echo "status $?"
for i in 1 2 3 4 5 6 7 8; do (sleep 0.0$i; exit $i) & done
for i in 1 2 3 4 5 6 7 8; do wait %$i 2>/dev/null || wait; done; echo "all children have ended"
sleep 1000 & kill $!; wait $!; echo "status $?"
trap 'echo trapped' USR1; kill -USR1 $$; trap - USR1
echo "$(echo "$(echo nested)" | tr a-z A-Z)" "$((6 * 7))"
i=0; while [ $i -lt 200 ]; do i=$(sh -c "echo \$(($i + 1))"); done; echo "$i processes in a row"
timeout 1 sleep 1000; echo "status $?"
xargs -n 3 echo <<EOF
a b c d
e f g
EOF

echo == files
mkdir -p dir/sub; umask 027
printf 'one\ntwo\nthree\n' > dir/file; cp dir/file dir/sub/copy; ln -s ../file dir/sub/link; ln dir/file dir/hard
chmod 640 dir/sub/copy; mv dir/sub/copy dir/sub/moved; echo four >> dir/sub/moved
stat -c '%n %s %a %h %F' dir/file dir/sub/moved dir/sub/link
find dir | sort; cat dir/sub/link; readlink dir/sub/link
sed -n '2,3s/t/T/p' dir/sub/moved; sort -r dir/file; tail -n 1 dir/sub/moved; cut -c 1-2 dir/file | uniq | paste -s -
dd if=/dev/zero of=holes bs=1 count=1 seek=999999 2>/dev/null; stat -c %s holes; md5sum holes
tar czf t.tgz dir; rm -r dir; tar tzf t.tgz | sort; tar xzf t.tgz; md5sum dir/sub/moved; test dir/file -ef dir/hard && echo "one file"
awk 'BEGIN {for (i = 0; i < 200000; i++) print i * i}' > numbers; gzip -k numbers; gunzip -c numbers.gz | cmp - numbers && echo "the same"
sort -n -r numbers | head -n 1; sha256sum numbers; grep -c 99 numbers
exec 5> held; rm held; echo "still there" >&5; exec 5>&-; ls held 2>/dev/null || echo "gone"
touch -d '2026-01-02 03:04:05' old; date -u -r old '+%Y-%m-%d %H:%M:%S'; [ numbers -nt old ] && echo "newer"
cat nothing 2>/dev/null || echo "no such file"; mkdir dir 2>/dev/null || echo "there already"; rmdir dir 2>/dev/null || echo "not empty"
for f in dir/*; do echo "$f"; done

echo == network
mkdir www; cp numbers www; echo index > www/index.html
httpd -f -p "$2:8080" -h www & server=$!
until wget -q -O - "http://$2:8080/" 2>/dev/null; do usleep 10000; done
wget -q -O - "http://$2:8080/numbers" | cmp - numbers && echo "the same"
wget -q -O - "http://$2:8080/nothing" 2>/dev/null || echo "no such page"
kill $server; wait $server; echo "status $?"
