package githubfake

// Operations are all that the fake has.
func Operations() []string {
	var names []string
	for _, r := range routes() {
		names = append(names, r.name)
	}
	return names
}
