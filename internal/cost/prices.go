package cost

import (
	_ "embed"
	"math/big"
	"strconv"

	"github.com/org/idp/internal/strictyaml"
)

//go:embed prices.yaml
var defaultPrices []byte

// Prices is a price file. Prices are those of one hour.
type Prices struct {
	Name     string  `yaml:"name" jsonschema:"required,minLength=1"`
	Source   string  `yaml:"source"`
	Date     string  `yaml:"date" jsonschema:"required,minLength=1"`
	Currency string  `yaml:"currency" jsonschema:"required,pattern=^[A-Z]{3}$" want:"an ISO 4217 code such as USD"`
	CPU      float64 `yaml:"cpu-core-hour" jsonschema:"required,minimum=0"`
	Memory   float64 `yaml:"memory-gb-hour" jsonschema:"required,minimum=0"`
	Storage  float64 `yaml:"storage-gb-hour" jsonschema:"required,minimum=0"`
}

// LoadPrices reads a price file, or the one built in when path is empty. A wrong one is bad input.
func LoadPrices(path string) (Prices, error) {
	file, data := "built-in prices.yaml", defaultPrices
	if path != "" {
		var err error
		if file, data, err = readPrices(path); err != nil {
			return Prices{}, err
		}
	}
	var p Prices
	err := strictyaml.Decode(file, data, &p)
	return p, err
}

func readPrices(path string) (string, []byte, error) {
	data, err := strictyaml.ReadFile(path)
	return path, data, err
}

func (p Prices) String() string { return p.Name + " " + p.Date }

// exact is the decimal that the price file says, not the binary number nearest to it.
func exact(f float64) *big.Rat {
	r, _ := new(big.Rat).SetString(strconv.FormatFloat(f, 'f', -1, 64))
	return r
}
