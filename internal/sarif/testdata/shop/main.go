package main

import (
	"crypto/md5"
	"fmt"
	"math/rand"
)

func main() {
	dice := rand.Intn(6) // #nosec G404 -- a die
	fmt.Println(dice, rand.Intn(6), md5.Sum(nil)[0])
}
