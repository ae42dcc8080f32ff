package local

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// bind puts the service in its own process group and has the kernel kill it when its supervisor dies.
func bind(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// stat is what /proc/PID/stat says, from field 3 (the state) on; see proc_pid_stat(5).
func stat(pid int) []string {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil
	}
	// The name in field 2 may hold spaces and parentheses.
	text := string(data)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return nil
	}
	return fields
}

// ended tells whether a process is gone, or a zombie whose last thread has ended: before that, its files and sockets are
// still open, and where nobody reaps it, as in a container without an init, it stays a zombie for good.
func ended(stat []string) bool {
	return stat == nil || stat[0] == "X" || stat[0] == "Z" && (stat[17] == "0" || stat[17] == "1")
}

// leaving tells whether a process is about to end, or has: it is so from before the kernel takes its files away.
func leaving(stat []string) bool {
	const exiting = 0x4 // PF_EXITING, include/linux/sched.h
	if ended(stat) {
		return true
	}
	flags, err := strconv.ParseUint(stat[6], 10, 64)
	return err == nil && flags&exiting != 0
}

// startOf is empty for a process that has ended. Ticks since boot repeat after a boot, so its id is added.
func startOf(pid int) string {
	fields := stat(pid)
	if ended(fields) {
		return ""
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(boot)) + "/" + fields[19]
}

// killOrphans ends what a killed supervisor left: its service, and whatever else is in the session that it led. The
// number of a session is not given to another process while it has members, so a process of that number that is not the
// supervisor means that the session is gone.
func killOrphans(s Status) {
	if s.Service.Alive() {
		killGroup(s.Service.PID)
	}
	if s.Supervisor.PID == 0 || !ended(stat(s.Supervisor.PID)) {
		return
	}
	for _, pid := range processes(func(f []string) bool { return f[3] == strconv.Itoa(s.Supervisor.PID) }) {
		kill(pid)
	}
}

func processes(match func(stat []string) bool) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if fields := stat(pid); fields != nil && match(fields) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// listening gives the TCP ports that the service's process group listens on; known is false where the kernel does not say.
func listening(service Process) (ports []int, known bool) {
	group := strconv.Itoa(service.PID)
	sockets := map[string]bool{}
	for _, pid := range processes(func(f []string) bool { return f[2] == group }) {
		fds, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/fd/*")
		if err != nil || len(fds) == 0 {
			if leaving(stat(pid)) {
				continue
			}
			return nil, false
		}
		for _, fd := range fds {
			if link, err := os.Readlink(fd); err == nil && strings.HasPrefix(link, "socket:[") {
				sockets[strings.Trim(link, "socket:[]")] = true
			}
		}
	}
	for _, table := range []string{"tcp", "tcp6"} {
		file, err := os.Open("/proc/" + strconv.Itoa(service.PID) + "/net/" + table)
		if err != nil {
			continue
		}
		known = true
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			// sl local_address rem_address st … inode; 0A is LISTEN.
			f := strings.Fields(lines.Text())
			if len(f) < 10 || f[3] != "0A" || !sockets[f[9]] {
				continue
			}
			if port, err := strconv.ParseInt(f[1][strings.LastIndexByte(f[1], ':')+1:], 16, 32); err == nil && !slices.Contains(ports, int(port)) {
				ports = append(ports, int(port))
			}
		}
		_ = file.Close()
	}
	if leaving(stat(service.PID)) {
		return nil, true // why the kernel may have said nothing: whoever answers on its port is another
	}
	return ports, known
}
