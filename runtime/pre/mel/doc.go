// Package mel turns sound into the pictures that speech and sound models take:
// power spectra, mel and log-mel spectrograms and MFCCs by the definitions of
// librosa, and the fixed-point features of TensorFlow Lite Micro's front end.
//
// Everything is computed in float64 with every operation rounded by itself, and
// with functions of this project, so that all machines give the same features.
package mel
