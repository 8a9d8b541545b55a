//go:build faults

#include "textflag.h"

// func spin()
TEXT ·spin(SB),NOSPLIT,$0
	PAUSE
	JMP -1(PC)
	RET
