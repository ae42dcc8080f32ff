package cost

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// share is what one container, or the rest of its pod, reserves on a node.
type share struct {
	name        string
	cpu, memory *big.Rat // cores, GB
}

var gb = big.NewRat(1<<30, 1)

// podShares splits what a pod reserves by Kubernetes' rule for the effective request: the containers and the sidecars run
// side by side; init containers run one after the other before them, each beside the sidecars that have started already,
// and count only where their peak is above that. Missing names what cannot be told.
func podShares(pod *corev1.PodSpec) (shares []share, missing []string) {
	podWide := corev1.ResourceRequirements{}
	if pod.Resources != nil {
		podWide = *pod.Resources
	}
	cpu, memory, sidecarCPU, sidecarMemory := new(big.Rat), new(big.Rat), new(big.Rat), new(big.Rat)
	peakCPU, peakMemory := new(big.Rat), new(big.Rat)
	missing = unpriced("the pod", podWide)
	take := func(c *corev1.Container) share {
		s, lacks := containerShare(c, podWide)
		missing = append(missing, lacks...)
		return s
	}
	for i := range pod.InitContainers {
		c := &pod.InitContainers[i]
		s := take(c)
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			sidecarCPU, sidecarMemory = sum(sidecarCPU, s.cpu), sum(sidecarMemory, s.memory)
			shares = append(shares, s)
			continue
		}
		peakCPU, peakMemory = highest(peakCPU, sum(sidecarCPU, s.cpu)), highest(peakMemory, sum(sidecarMemory, s.memory))
	}
	cpu, memory = sum(cpu, sidecarCPU), sum(memory, sidecarMemory)
	for i := range pod.Containers {
		s := take(&pod.Containers[i])
		cpu, memory = sum(cpu, s.cpu), sum(memory, s.memory)
		shares = append(shares, s)
	}
	// rest adds a line for what the pod reserves above its lines so far.
	rest := func(name string, wantCPU, wantMemory *big.Rat) {
		more := share{name, above(wantCPU, cpu), above(wantMemory, memory)}
		if more.cpu.Sign() > 0 || more.memory.Sign() > 0 {
			shares = append(shares, more)
			cpu, memory = sum(cpu, more.cpu), sum(memory, more.memory)
		}
	}
	rest("(init containers)", peakCPU, peakMemory)
	rest("(pod)", request(podWide, corev1.ResourceCPU), request(podWide, corev1.ResourceMemory))
	rest("(overhead)", sum(cpu, quantity(pod.Overhead, corev1.ResourceCPU)), sum(memory, quantity(pod.Overhead, corev1.ResourceMemory)))
	return shares, missing
}

// containerShare is what one container requests. Requests of the whole pod stand in for those a container lacks.
func containerShare(c *corev1.Container, podWide corev1.ResourceRequirements) (share, []string) {
	var lacks, missing []string
	get := func(name corev1.ResourceName) *big.Rat {
		q := request(c.Resources, name)
		if q.Sign() <= 0 && request(podWide, name).Sign() <= 0 {
			lacks = append(lacks, string(name))
		}
		return q
	}
	s := share{c.Name, get(corev1.ResourceCPU), get(corev1.ResourceMemory)}
	if len(lacks) > 0 {
		missing = append(missing, fmt.Sprintf("container %s requests no %s", c.Name, strings.Join(lacks, " and no ")))
	}
	return s, append(missing, unpriced("container "+c.Name, c.Resources)...)
}

// unpriced names devices, such as nvidia.com/gpu, and huge pages, which are memory of their own; their request is their limit.
func unpriced(who string, r corev1.ResourceRequirements) (missing []string) {
	for _, name := range slices.Sorted(maps.Keys(r.Limits)) {
		if strings.Contains(string(name), "/") || strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix) {
			missing = append(missing, fmt.Sprintf("%s requests %s, for which there is no price", who, name))
		}
	}
	return missing
}

// request is a resource's request; where there is none it is the limit, as Kubernetes fills it in. Memory is in GB.
func request(r corev1.ResourceRequirements, name corev1.ResourceName) *big.Rat {
	if _, ok := r.Requests[name]; ok {
		return quantity(r.Requests, name)
	}
	return quantity(r.Limits, name)
}

func quantity(list corev1.ResourceList, name corev1.ResourceName) *big.Rat {
	q := list[name]
	r, _ := new(big.Rat).SetString(q.AsDec().String())
	if name == corev1.ResourceMemory || name == corev1.ResourceStorage {
		r.Quo(r, gb)
	}
	return r
}

func sum(a, b *big.Rat) *big.Rat { return new(big.Rat).Add(a, b) }

func highest(a, b *big.Rat) *big.Rat {
	if a.Cmp(b) > 0 {
		return a
	}
	return b
}

// above is how much a is above b, never negative.
func above(a, b *big.Rat) *big.Rat { return highest(new(big.Rat).Sub(a, b), new(big.Rat)) }
