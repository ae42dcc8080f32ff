package rollout

// advice is what most likely is wrong and what to do, by what was seen.
func advice(d *Diagnosis, p problem) string {
	switch p.cause {
	case causePull:
		return "The node cannot pull the image: check that it is in the registry under this digest, and that the namespace may pull it."
	case causeCrash:
		return "It starts and dies at once. Its last lines above say why."
	case causeMemory:
		return "It used more memory than its limit: give it a larger size in idp.yaml, or let it use less."
	case causeStart:
		return "Its command cannot be run: check the entrypoint, its file and the platform of the image."
	case causeConfig:
		return "It needs what is not there: create it in this namespace, or correct the name."
	case causeVolume:
		return "A volume of it cannot be mounted: the message above says which."
	case causeSandbox:
		return "The node cannot set up its network: talk to who runs the cluster."
	case causeQuota:
		return "The namespace has no room for it: scale down, or ask for a larger quota (kubectl describe quota)."
	case causeRefused:
		return "A rule of the cluster forbids its pods: change what the rule names, or talk to who runs the cluster."
	case causeSchedule:
		return "No node takes it: ask for less, correct what it demands of a node, or add a node."
	}
	return "Look at it: kubectl describe " + d.Object.Kind + " " + d.Object.Name
}
