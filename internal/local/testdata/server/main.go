// Command server is a service that behaves, or misbehaves, as its environment says.
package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	if os.Getenv("SLEEP") != "" {
		select {}
	}
	fmt.Println("\x1b[31mstarting\x1b[0m \a", os.Getenv("IDP_REVISION"), "token", os.Getenv("API_TOKEN"))
	if text := os.Getenv("CRASH"); text != "" {
		fmt.Fprintln(os.Stderr, text)
		os.Exit(3)
	}
	crashTimes()
	if os.Getenv("IGNORE_TERM") != "" {
		signal.Ignore(syscall.SIGTERM)
	}
	child := 0
	if os.Getenv("CHILD") != "" {
		cmd := exec.Command(os.Args[0])
		cmd.Path, _ = os.Executable()
		cmd.Env = []string{"SLEEP=1"}
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		child = cmd.Process.Pid
	}
	http.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if os.Getenv("HANG") != "" {
			select {}
		}
		if code, err := strconv.Atoi(os.Getenv("HEALTH_STATUS")); err == nil {
			w.WriteHeader(code)
		}
	})
	http.HandleFunc("/env", func(w http.ResponseWriter, _ *http.Request) {
		wd, _ := os.Getwd()
		fmt.Fprintln(w, strings.Join(append(os.Environ(), "WD="+wd), "\n"))
	})
	http.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getenv("IDP_REVISION")) })
	http.HandleFunc("/child", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, child) })
	http.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) { os.Exit(7) })
	port := os.Getenv("PORT")
	if os.Getenv("WRONG_PORT") != "" {
		port = "0"
	}
	panic(http.ListenAndServe("127.0.0.1:"+port, nil))
}

// crashTimes lets the first n starts fail; they are counted in the private home.
func crashTimes() {
	n, err := strconv.Atoi(os.Getenv("CRASH_TIMES"))
	if err != nil {
		return
	}
	path := filepath.Join(os.Getenv("HOME"), "starts")
	data, _ := os.ReadFile(path)
	if len(data) >= n {
		return
	}
	if err := os.WriteFile(path, append(data, '.'), 0o600); err != nil {
		panic(err)
	}
	os.Exit(1)
}
