//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const nodeName = "node"

// layout is where a cluster has its things. Its own file system has empty /run, /var/lib and /var/log, so what Kubernetes
// and containerd keep there by default stays there.
type layout struct {
	Dir      string // state: pki/, logs/ and configuration
	Bin      string // programs of Kubernetes
	CNI      string // plugins of the network
	Net      int    // 10.NET.0.0/16: .0.0/24 is the link to the machine, .64.0/18 pods, .128.0/18 services
	Registry int    // port on 127.0.0.1, of the machine and of the node alike
	Pause    string // image of the sandbox, by digest
}

func (l layout) ip(rest string) string { return fmt.Sprintf("10.%d.%s", l.Net, rest) }
func (l layout) host() string          { return l.ip("0.1") }
func (l layout) node() string          { return l.ip("0.2") }
func (l layout) pods() string          { return l.ip("64.0/18") }
func (l layout) services() string      { return l.ip("128.0/18") }
func (l layout) server() string        { return "https://" + l.node() + ":6443" }
func (l layout) registry() string      { return fmt.Sprintf("127.0.0.1:%d", l.Registry) }
func (l layout) path(parts ...string) string {
	return filepath.Join(append([]string{l.Dir}, parts...)...)
}
func (l layout) pki(name string) string        { return l.path("pki", name) }
func (l layout) kubeconfig(name string) string { return l.pki(name + ".kubeconfig") }

// credentials are those of every part of the cluster; the names in the certificates are what RBAC's bootstrap roles and
// the node authorizer expect.
func (l layout) credentials() error {
	if err := os.MkdirAll(l.path("pki"), 0o700); err != nil {
		return err
	}
	a, err := newAuthority(l.path("pki"))
	if err != nil {
		return err
	}
	if err := a.issue("apiserver", "kube-apiserver", "", l.node(), l.ip("128.1"), "127.0.0.1", "localhost",
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"); err != nil {
		return err
	}
	if err := a.issue("apiserver-kubelet", "kube-apiserver-kubelet-client", "system:masters"); err != nil {
		return err
	}
	if err := a.issue("aggregator", "front-proxy", ""); err != nil {
		return err
	}
	if err := a.issue("kubelet-server", "system:node:"+nodeName, "system:nodes", nodeName, l.node()); err != nil {
		return err
	}
	for _, user := range [][3]string{
		{"admin", "admin", "system:masters"},
		{"kubelet", "system:node:" + nodeName, "system:nodes"},
		{"controller-manager", "system:kube-controller-manager", ""},
		{"scheduler", "system:kube-scheduler", ""},
		{"proxy", "system:kube-proxy", ""},
	} {
		if err := a.kubeconfig(user[0], l.server(), user[1], user[2]); err != nil {
			return err
		}
	}
	return nil
}

// configuration writes the files that the parts read.
func (l layout) configuration() error {
	for name, text := range map[string]string{
		"containerd.toml": `version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "PAUSE"
  # A machine may lack CAP_SYS_RESOURCE, and then no process may be made less likely to be killed than this one.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "CNI"
    conf_dir = "DIR/cni"
`,
		// Every pod has a cable of its own to the node, so all packets are routed, and seen by the rules of kube-proxy.
		"cni/10-pods.conflist": `{"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "ptp", "mtu": 1400,
  "ipam": {"type": "host-local", "ranges": [[{"subnet": "PODS"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
`,
		"resolv.conf": "nameserver DNS\n",
		"kubelet.yaml": `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: NODE
authentication: {x509: {clientCAFile: DIR/pki/ca.crt}, webhook: {enabled: true}, anonymous: {enabled: false}}
authorization: {mode: Webhook}
tlsCertFile: DIR/pki/kubelet-server.crt
tlsPrivateKeyFile: DIR/pki/kubelet-server.key
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /GROUP
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
clusterDNS: [DNS]
clusterDomain: cluster.local
resolvConf: DIR/resolv.conf
evictionHard: {memory.available: 0%, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%}
imageGCHighThresholdPercent: 100
maxPods: 250
serializeImagePulls: false
`,
	} {
		text = strings.NewReplacer("DIR", l.Dir, "CNI", l.CNI, "PAUSE", l.Pause, "PODS", l.pods(), "DNS", l.ip("128.10"), "NODE", l.node(),
			"GROUP", groupName(l.Dir)).Replace(text)
		file := l.path(name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// part is a program of the cluster.
type part struct {
	args  []string
	after string // address that answers before this part can do anything
}

// parts are the programs, in the order of their start.
func (l layout) parts() []part {
	of := func(name string, flags ...string) part {
		p := part{args: append([]string{filepath.Join(l.Bin, name)}, flags...), after: l.node() + ":6443"}
		if name != "kube-apiserver" && name != "kubelet" && name != "kube-proxy" {
			p.args = append(p.args, "--leader-elect=false", "--bind-address=127.0.0.1", "--profiling=false")
		}
		return p
	}
	apiserver := of("kube-apiserver", "--etcd-servers=http://127.0.0.1:2379", "--advertise-address="+l.node(), "--profiling=false",
		"--service-cluster-ip-range="+l.services(), "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--client-ca-file="+l.pki("ca.crt"), "--tls-cert-file="+l.pki("apiserver.crt"), "--tls-private-key-file="+l.pki("apiserver.key"),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local", "--service-account-key-file="+l.pki("sa.pub"),
		"--service-account-signing-key-file="+l.pki("sa.key"), "--kubelet-certificate-authority="+l.pki("ca.crt"),
		"--kubelet-client-certificate="+l.pki("apiserver-kubelet.crt"), "--kubelet-client-key="+l.pki("apiserver-kubelet.key"),
		"--kubelet-preferred-address-types=InternalIP", "--requestheader-client-ca-file="+l.pki("ca.crt"),
		"--requestheader-allowed-names=front-proxy", "--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-", "--proxy-client-cert-file="+l.pki("aggregator.crt"),
		"--proxy-client-key-file="+l.pki("aggregator.key"))
	apiserver.after = "127.0.0.1:2379"
	manager, scheduler := l.kubeconfig("controller-manager"), l.kubeconfig("scheduler")
	return []part{
		{args: []string{"containerd", "--config", l.path("containerd.toml")}},
		{args: []string{"etcd", "--data-dir=/var/lib/etcd", "--listen-client-urls=http://127.0.0.1:2379",
			"--advertise-client-urls=http://127.0.0.1:2379", "--listen-peer-urls=http://127.0.0.1:2380"}},
		apiserver,
		of("kube-controller-manager", "--kubeconfig="+manager, "--authentication-kubeconfig="+manager, "--authorization-kubeconfig="+manager,
			"--use-service-account-credentials", "--root-ca-file="+l.pki("ca.crt"), "--service-account-private-key-file="+l.pki("sa.key"),
			"--cluster-signing-cert-file="+l.pki("ca.crt"), "--cluster-signing-key-file="+l.pki("ca.key")),
		of("kube-scheduler", "--kubeconfig="+scheduler, "--authentication-kubeconfig="+scheduler, "--authorization-kubeconfig="+scheduler),
		of("kubelet", "--config="+l.path("kubelet.yaml"), "--kubeconfig="+l.kubeconfig("kubelet"), "--hostname-override="+nodeName,
			"--node-ip="+l.node()),
		// The limits of connection tracking are the whole machine's, so they stay as they are.
		of("kube-proxy", "--kubeconfig="+l.kubeconfig("proxy"), "--hostname-override="+nodeName, "--proxy-mode=iptables",
			"--cluster-cidr="+l.pods(), "--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0",
			"--bind-address="+l.node()),
	}
}
