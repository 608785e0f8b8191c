/*
 * fmath.h - exp, ln, sin, cos and pow in double precision with the same bits on every machine.
 *
 * Made of +, -, *, / and operations on bits only, which IEEE 754 defines to the last bit; libm's functions differ from
 * one C library to another. For what is computed once: rotary tables, schedules, initial weights, log-likelihoods; not
 * for kernels.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_BASE_FMATH_H
#define TRIT_BASE_FMATH_H

/** e^x; relative error < 4e-16 where the result is normal. Overflow gives infinity, underflow 0, NaN stays NaN. */
double trit_exp(double x);
/** Natural logarithm; relative error < 4e-16. ln 0 = -infinity; NaN below 0. */
double trit_ln(double x);
/** Sine and cosine of x radians; absolute error < 2e-16 for |x| <= 1e6, < 2e-16 |x| beyond; NaN for |x| > 2^30. */
double trit_sin(double x);
double trit_cos(double x);
/** x^y for x >= 0 (NaN below); relative error < 4e-16 (1 + |y ln x|). x^0 = 1. */
double trit_pow(double x, double y);

#endif
