package projection

import (
	"net/url"
	"strings"
)

// Source is Backstage's source location, a folder with a slash at its end, and GitHub's project slug; both are empty where
// the host of the code is not known. Below the root of a repository the way to a folder is each host's own; HEAD is the
// default branch on those known here.
func Source(origin, folder string) (location, slug string) {
	host, path := originParts(origin)
	path = strings.TrimSuffix(strings.Trim(path, "/"), ".git")
	if host == "" || path == "" {
		return "", ""
	}
	location = "url:https://" + host + "/" + path + "/"
	switch {
	case folder == "":
	case strings.HasPrefix(host, "github."):
		location += "tree/HEAD/" + folder + "/"
	case strings.HasPrefix(host, "gitlab."):
		location += "-/tree/HEAD/" + folder + "/"
	}
	if host == "github.com" && strings.Count(path, "/") == 1 {
		slug = path
	}
	return location, slug
}

// originParts reads a URL or git's USER@HOST:PATH; a folder has no host.
func originParts(origin string) (host, path string) {
	if u, err := url.Parse(origin); err == nil && u.Host != "" {
		if u.Scheme == "ssh" || u.Scheme == "git" {
			return u.Hostname(), u.Path // the port is that of the protocol, not of the web page
		}
		return u.Host, u.Path
	}
	host, path, ok := strings.Cut(origin, ":")
	if !ok || strings.HasPrefix(path, "//") || strings.ContainsAny(host, `/\`) || len(host) < 2 {
		return "", ""
	}
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		host = host[at+1:]
	}
	return host, path
}
