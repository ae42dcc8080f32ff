// Command plain is the smallest service that the path delivers. BEHAVE, from env in idp.yaml, makes it misbehave for tests;
// HOST is the address that it listens on, of this machine alone where it is not given.
package main

import (
	"cmp"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"
)

func main() {
	behave := os.Getenv("BEHAVE")
	if behave == "crash" {
		log.Fatal("DATABASE_URL is not set")
	}
	answer := func(text string, broken bool) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if broken {
				log.Print("broken on purpose")
				http.Error(w, "broken on purpose", http.StatusInternalServerError)
				return
			}
			_, _ = fmt.Fprintln(w, text)
		}
	}
	http.HandleFunc("/healthz", answer("ok", behave == "sick"))
	http.HandleFunc("/version", answer(os.Getenv("IDP_REVISION"), false))
	http.HandleFunc("/", answer("ok", behave == "broken"))
	if behave == "stuck" {
		http.HandleFunc("/stuck", func(_ http.ResponseWriter, r *http.Request) {
			log.Print("asked /stuck")
			<-r.Context().Done()
			log.Print("left /stuck")
		})
	}
	server := &http.Server{Addr: cmp.Or(os.Getenv("HOST"), "127.0.0.1") + ":" + os.Getenv("PORT"), ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}
