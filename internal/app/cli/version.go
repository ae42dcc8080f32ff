package cli

// version is set by the linker for a release.
var version string

// Version is the release, or "devel" for a build of a checkout.
func Version() string {
	if version != "" {
		return version
	}
	return "devel"
}
