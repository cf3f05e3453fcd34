// The loops of the two AVX-512 integer products (int8 and int16 rows by int8 panels)
// over taps and k, for 12, 8, 4 and 1 rows of 32 and of 16 columns. The including file
// defines WEIGHTS32 and WEIGHTS16 (load the panel of the next dword of k), DOT32 and
// DOT16 (add a dword of one row) and WIDE1K4 (four dwords of one row by 32 columns, each
// in sums of its own, lest the latency of one sum be waited for).

wide12:
	TAP(1)
	ROWS12
	COUNT(1)

wide12k:
	WEIGHTS32
	DOT32(R8, Z0, Z1)
	DOT32(R9, Z2, Z3)
	DOT32(R10, Z4, Z5)
	DOT32(R11, Z6, Z7)
	DOT32(R12, Z8, Z9)
	DOT32(R13, Z10, Z11)
	DOT32(R14, Z12, Z13)
	DOT32(R15, Z14, Z15)
	DOT32(DI, Z16, Z17)
	DOT32(AX, Z18, Z19)
	DOT32(BX, Z20, Z21)
	DOT32(CX, Z22, Z23)
	ADDQ $4, DX
	JNZ  wide12k
	NEXT
	JNZ  wide12
	JMP  finish

wide8:
	TAP(1)
	ROWS8
	COUNT(1)

wide8k:
	WEIGHTS32
	DOT32(R8, Z0, Z1)
	DOT32(R9, Z2, Z3)
	DOT32(R10, Z4, Z5)
	DOT32(R11, Z6, Z7)
	DOT32(R12, Z8, Z9)
	DOT32(R13, Z10, Z11)
	DOT32(R14, Z12, Z13)
	DOT32(R15, Z14, Z15)
	ADDQ $4, DX
	JNZ  wide8k
	NEXT
	JNZ  wide8
	JMP  finish

wide4:
	TAP(1)
	ROWS4
	COUNT(1)

wide4k:
	WEIGHTS32
	DOT32(R8, Z0, Z1)
	DOT32(R9, Z2, Z3)
	DOT32(R10, Z4, Z5)
	DOT32(R11, Z6, Z7)
	ADDQ $4, DX
	JNZ  wide4k
	NEXT
	JNZ  wide4
	JMP  finish

	// One row: four groups of sums hide the latency, Z0-Z7.
wide1:
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	VPXORD Z4, Z4, Z4
	VPXORD Z5, Z5, Z5
	VPXORD Z6, Z6, Z6
	VPXORD Z7, Z7, Z7

wide1tap:
	TAP(1)
	ROW(0, R8)
	COUNT(1)
	ADDQ $12, DX
	JGE   wide1tail

wide1k:
	WIDE1K4
	ADDQ        $16, DX
	JLT         wide1k

wide1tail:
	SUBQ $12, DX
	JGE  wide1next

wide1rest:
	WEIGHTS32
	DOT32(R8, Z0, Z1)
	ADDQ $4, DX
	JNZ  wide1rest

wide1next:
	NEXT
	JNZ    wide1tap
	VPADDD Z2, Z0, Z0
	VPADDD Z3, Z1, Z1
	VPADDD Z6, Z4, Z4
	VPADDD Z7, Z5, Z5
	VPADDD Z4, Z0, Z0
	VPADDD Z5, Z1, Z1
	JMP    finish

narrow12:
	TAP(1)
	ROWS12
	COUNT(1)

narrow12k:
	WEIGHTS16
	DOT16(R8, Z0)
	DOT16(R9, Z2)
	DOT16(R10, Z4)
	DOT16(R11, Z6)
	DOT16(R12, Z8)
	DOT16(R13, Z10)
	DOT16(R14, Z12)
	DOT16(R15, Z14)
	DOT16(DI, Z16)
	DOT16(AX, Z18)
	DOT16(BX, Z20)
	DOT16(CX, Z22)
	ADDQ $4, DX
	JNZ  narrow12k
	NEXT
	JNZ  narrow12
	JMP  finish

narrow8:
	TAP(1)
	ROWS8
	COUNT(1)

narrow8k:
	WEIGHTS16
	DOT16(R8, Z0)
	DOT16(R9, Z2)
	DOT16(R10, Z4)
	DOT16(R11, Z6)
	DOT16(R12, Z8)
	DOT16(R13, Z10)
	DOT16(R14, Z12)
	DOT16(R15, Z14)
	ADDQ $4, DX
	JNZ  narrow8k
	NEXT
	JNZ  narrow8
	JMP  finish

narrow4:
	TAP(1)
	ROWS4
	COUNT(1)

narrow4k:
	WEIGHTS16
	DOT16(R8, Z0)
	DOT16(R9, Z2)
	DOT16(R10, Z4)
	DOT16(R11, Z6)
	ADDQ $4, DX
	JNZ  narrow4k
	NEXT
	JNZ  narrow4
	JMP  finish

narrow1:
	TAP(1)
	ROW(0, R8)
	COUNT(1)

narrow1k:
	WEIGHTS16
	DOT16(R8, Z0)
	ADDQ $4, DX
	JNZ  narrow1k
	NEXT
	JNZ  narrow1

