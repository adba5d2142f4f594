#!/bin/sh
# Makes releases.db.gz: the database of an etcd under a kube-apiserver in which
# Helm has installed, upgraded and rolled back. Run it here, with etcd, openssl,
# curl, $KUBE_APISERVER, $HELM_3 and $HELM_4. The times in it are those of the
# run, so helm3.txt and the test's revision change with it.
set -eu
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT
openssl genrsa -out "$work/sa.key" 2048 2>/dev/null
echo 'token,admin,1,"system:masters"' > "$work/tokens"
etcd --data-dir "$work/etcd" --listen-client-urls http://127.0.0.1:12379 --advertise-client-urls http://127.0.0.1:12379 \
  --listen-peer-urls http://127.0.0.1:12380 > "$work/etcd.log" 2>&1 &
etcd=$!
"$KUBE_APISERVER" --etcd-servers http://127.0.0.1:12379 --secure-port 16443 --bind-address 127.0.0.1 --cert-dir "$work/certs" \
  --token-auth-file "$work/tokens" --authorization-mode AlwaysAllow --service-account-issuer https://weather.example.com \
  --service-account-key-file "$work/sa.key" --service-account-signing-key-file "$work/sa.key" --service-cluster-ip-range 10.0.0.0/24 > "$work/api.log" 2>&1 &
api=$!
cat > "$work/kubeconfig" <<EOF
apiVersion: v1
kind: Config
current-context: c
clusters: [{name: c, cluster: {server: "https://127.0.0.1:16443", insecure-skip-tls-verify: true}}]
users: [{name: u, user: {token: token}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
EOF
export KUBECONFIG="$work/kubeconfig" HELM_CACHE_HOME="$work/helm" HELM_CONFIG_HOME="$work/helm" HELM_DATA_HOME="$work/helm"
until curl -sk -H 'Authorization: Bearer token' https://127.0.0.1:16443/readyz | grep -q ok; do sleep 1; done
"$HELM_3" install storm weather -n sea --create-namespace --set wind=north
"$HELM_3" upgrade storm weather -n sea --set wind=south,port=8080
"$HELM_3" rollback storm 1 -n sea
"$HELM_4" install calm weather -n lake --create-namespace
"$HELM_4" upgrade calm weather -n lake --set wind=breeze
kill -9 $api; wait $api || true # or it deletes its Lease, by which the time of a backup is told
kill $etcd; wait $etcd || true
gzip -9nc "$work/etcd/member/snap/db" > releases.db.gz
