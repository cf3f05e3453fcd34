package peak

// Each function runs n rounds of independent multiply-adds on registers.

// RoundsVNNI512 does 24 VPDPBUSD of 512 bits a round: 1536 multiply-adds.
//
//go:noescape
func RoundsVNNI512(n int)

// RoundsFMA512 does 24 VFMADD231PS of 512 bits a round: 384 multiply-adds.
//
//go:noescape
func RoundsFMA512(n int)

// RoundsMADD256 does 12 VPMADDWD of 256 bits with their VPADDD a round: 192 multiply-adds.
//
//go:noescape
func RoundsMADD256(n int)

// RoundsFMA256 does 12 VFMADD231PS of 256 bits a round: 96 multiply-adds.
//
//go:noescape
func RoundsFMA256(n int)
