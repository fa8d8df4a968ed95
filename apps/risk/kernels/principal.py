"""The effective number of bets: over how many uncorrelated principal portfolios a book's variance is spread.

`returns` (days, symbols), fractions; `values` (symbols,), currency; `pnl` (days,) is today's book through each day.

With the covariance of the returns = sum over k of lambda_k e_k e_k', the principal portfolio k bears the part
p_k = lambda_k (e_k' values)^2 / variance of the book, and the number of bets is exp(-sum p_k ln p_k).

Only those parts are needed, no eigenvector. They are the spectral measure of the Gram matrix at one vector: `values` in
the space of symbols, the centred P&L in the space of days, whichever is smaller. A Householder reduction that begins
with this vector makes the matrix tridiagonal and keeps the measure, as the first components of that one's eigenvectors.
Principal portfolios of the same variance, whose axes nothing fixes, count as the one in which the book lies.

Bits: LAPACK's own decompositions depend on the thread count. Here the Gram matrix is a product of integers small enough
that BLAS does not round, in whatever order it adds; the reduction is elementwise; LAPACK's tridiagonal solver is
serial.

Sources: Meucci (2009), Managing diversification, Risk 22(5), sec. 2-3; Golub & Welsch (1969), Calculation of Gauss
quadrature rules, Math. Comp. 23 (the measure); Golub & Van Loan (2013), Matrix Computations, 4th ed., alg. 8.3.1;
Ozaki, Ogita, Oishi & Rump (2012), Error-free transformations of matrix multiplication, Numer. Algorithms 59.
"""

import math

import numpy as np
import scipy

from apps.risk.kernels.historical import FloatArray
from apps.risk.kernels.measures import deviation

_NOTHING = 1e-15


def effective_bets(returns: FloatArray, values: FloatArray, pnl: FloatArray) -> float | None:
    """From 1.0, all variance in one principal portfolio, to min(symbols, days - 1). None where the book does not move.

    Good to some ten digits. Raises ValueError for fewer than 2 days, NaN or infinity.
    """
    if not (np.isfinite(returns).all() and np.isfinite(values).all()):
        raise ValueError("returns or values hold NaN or infinity; expected finite numbers only")
    gross = math.fsum((np.abs(values) * deviation(returns)).tolist())
    if float(deviation(pnl)) <= 1e-14 * gross:
        return None
    parts = _parts(returns, values, pnl)
    return max(1.0, math.exp(math.fsum(scipy.special.entr(parts).tolist())))


def _parts(returns: FloatArray, values: FloatArray, pnl: FloatArray) -> FloatArray:
    """p_k, adding up to 1, in ascending order of the variance of the principal portfolios."""
    days, symbols = returns.shape
    centred = returns - np.add.reduce(returns, axis=0) / days
    if symbols <= days:
        variances, weights = spectral_measure(exact_gram(centred.T), values)
        weights *= np.maximum(variances, 0.0)
    else:
        weights = spectral_measure(exact_gram(centred), pnl - np.add.reduce(pnl) / days)[1]
    return np.asarray(weights / math.fsum(weights.tolist()))


def exact_gram(rows: FloatArray) -> FloatArray:
    """rows @ rows.T times a power of 4, (m, n) to (m, m), the same bits whatever multiplies the matrices.

    The numbers are cut into a high and a low part of b bits each, 2b + log2(n) <= 53, so that sums of products of parts
    are whole numbers below 2**53. What is cut off is 2**(-2b) of the largest number: 2**-44 for n = 500.
    """
    bits = (53 - math.ceil(math.log2(max(rows.shape[1], 2)))) // 2
    scaled = np.ldexp(rows, bits - math.frexp(float(np.abs(rows).max()))[1])
    high = np.rint(scaled)
    low = np.rint(np.ldexp(scaled - high, bits))
    crossed = high @ low.T
    return np.asarray(high @ high.T + np.ldexp(crossed + crossed.T, -bits))


def spectral_measure(matrix: FloatArray, start: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues of a symmetric matrix (m, m) that `start` (m,) meets, and (e_k' start)^2 / |start|^2 of each."""
    diagonal, beside = _tridiagonal(matrix, start)
    if len(diagonal) == 1:
        return diagonal, np.ones(1)
    # LAPACK's solver gives up on large numbers; a power of two is taken out and put back without a rounding.
    exponent = math.frexp(float(np.abs(diagonal).max()))[1]
    scaled = np.ldexp(diagonal, -exponent), np.ldexp(beside, -exponent)
    eigenvalues, vectors = scipy.linalg.eigh_tridiagonal(*scaled, lapack_driver="stemr")
    return np.ldexp(eigenvalues, exponent), vectors[0] ** 2


def _tridiagonal(matrix: FloatArray, start: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Diagonal and off-diagonal of Q' matrix Q with `start` along Q's first column; ends where nothing more is met."""
    rest = matrix.copy()
    _reflect(rest, _mirror(start / np.abs(start).max())[0])
    smallest = _NOTHING * float(np.abs(matrix).max()) * len(matrix)
    diagonal, beside = [float(rest[0, 0])], []
    for column in range(1, len(matrix)):
        normal, length = _mirror(rest[column:, column - 1])
        if length <= smallest:
            break
        _reflect(rest[column:, column:], normal)
        beside.append(length)
        diagonal.append(float(rest[column, column]))
    return np.array(diagonal), np.array(beside)


def _mirror(vector: FloatArray) -> tuple[FloatArray, float]:
    """The normal, of length sqrt(2), of the mirror that lays `vector` along the first axis; and the vector's length."""
    length = math.sqrt(float(np.add.reduce(vector * vector)))
    if length == 0:
        return np.zeros_like(vector), 0.0
    normal = vector / length
    normal[0] += math.copysign(1.0, normal[0])
    normal /= math.sqrt(abs(normal[0]))
    return normal, length


def _reflect(matrix: FloatArray, normal: FloatArray) -> None:
    """matrix becomes H matrix H, in place, with H = 1 - normal normal'."""
    # einsum, not matmul: it adds in one order on every machine and in every thread count.
    image = np.einsum("ij,j->i", matrix, normal)
    image -= normal * (0.5 * float(np.add.reduce(image * normal)))
    matrix -= np.multiply.outer(normal, image)
    matrix -= np.multiply.outer(image, normal)
