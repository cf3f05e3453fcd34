//go:build !linux

package main

import "errors"

func limitFiles(uint64) error { return errors.New("file sizes are limited on Linux only") }
