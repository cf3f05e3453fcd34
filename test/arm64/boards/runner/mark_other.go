//go:build !linux

package main

// The plugin runs on Linux alone.
func mark() {}
