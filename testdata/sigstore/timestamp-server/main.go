// Command timestamp-server is sigstore's timestamp authority with a key in memory. It is the command of the module that it
// comes from, cmd/timestamp-server serve --timestamp-signer=memory, without its metrics: those are always on port 2112, and so
// no two of them could run on a machine.
package main

import (
	"log"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/sigstore/timestamp-authority/v2/pkg/server"
	"github.com/spf13/viper"
)

func main() {
	port, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	// The defaults of the command's flags.
	viper.Set("timestamp-signer", "memory")
	viper.Set("timestamp-signer-hash", "sha256")
	viper.Set("default-policy-oid", "1.3.6.1.4.1.57264.2")
	viper.Set("accepted-policy-oids", []string{"1.3.6.1.4.1.57264.2"})
	viper.Set("max-request-body-size", 1<<20)
	viper.Set("enforce-intermediate-eku", true)
	s := server.NewRestAPIServer("127.0.0.1", port, []string{"http"}, false, 30*time.Second, 30*time.Second)
	s.CleanupTimeout = time.Duration(math.MaxInt32)
	if err := s.Serve(); err != nil {
		log.Fatal(err)
	}
}
