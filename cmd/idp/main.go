// Command idp walks the golden path of a delivery; see `idp --help`.
package main

import (
	"os"

	"github.com/org/idp/internal/app"
)

func main() { os.Exit(app.Main(os.Args[1:])) }
