package app

import (
	"os"
	"os/signal"
	"syscall"
)

// outliveReader keeps an action going to its end when nobody reads what it prints any more, as in `idp path | head`: it has
// to put in order what it began. The signal is caught and not ignored, because children would inherit that.
func outliveReader() (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGPIPE)
	return func() { signal.Stop(signals) }
}
