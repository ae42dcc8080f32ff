//go:build !linux

package main

import (
	"context"
	"errors"
	"os/exec"
)

var errLinux = errors.New("a cluster of containers needs Linux: use one that runs with USE_EXISTING_CLUSTER=1 and KUBECONFIG")

func ownGroup(*exec.Cmd) (end func()) { return func() {} }

type cluster struct{}

func (*cluster) environ() []string { return nil }
func (*cluster) stop() error       { return nil }

func inside([]string) error                                     { return errLinux }
func (options) start(context.Context, string) (*cluster, error) { return nil, errLinux }
func (options) up(context.Context) error                        { return errLinux }
func (options) stay(context.Context) error                      { return errLinux }
func (options) down(context.Context) error                      { return errLinux }
