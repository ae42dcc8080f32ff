// Program is a container that behaves as its first argument says, well or badly.
package main

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"
)

func main() {
	args := append(os.Args[1:], "", "")
	fmt.Println("mode", args[0])
	switch args[0] {
	case "serve", "":
		code, _ := strconv.Atoi(args[1])
		serve(code)
	case "die": // after so many seconds
		wait, _ := strconv.Atoi(args[1])
		time.Sleep(time.Duration(wait) * time.Second)
		fmt.Println("connecting with", os.Getenv("DATABASE_PASSWORD"), "and", os.Getenv("FROM_SECRET"))
		if data, err := os.ReadFile("/v/key"); err == nil {
			fmt.Println("which was told", string(data))
		}
		fmt.Fprintln(os.Stderr, "panic: DATABASE_URL is not set")
		os.Exit(3)
	case "end":
		fmt.Println("all done")
	case "eat":
		var all [][]byte
		for {
			b := make([]byte, 1<<20)
			for i := range b {
				b[i] = byte(i)
			}
			all = append(all, b)
		}
	case "idle":
		time.Sleep(time.Hour)
	}
}

func serve(code int) {
	if code == 0 {
		code = http.StatusOK
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" || os.Getenv("BROKEN") != "" && r.URL.Path == "/" {
			w.WriteHeader(code)
		}
		fmt.Fprintln(w, os.Getenv("VERSION"))
	})
	fmt.Println(http.ListenAndServe(":8080", handler))
}
