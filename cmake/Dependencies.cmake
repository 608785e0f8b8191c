# Dependencies.cmake - finds the libraries Trit can use. Each is optional; what is missing is switched off, and the end
# of configuring says what is on, what is off and which Debian package turns it on.
#
# Sets TRIT_HAVE_PCRE2, TRIT_HAVE_JANSSON, TRIT_HAVE_UTF8PROC, TRIT_HAVE_ZLIB, TRIT_HAVE_ZSTD, TRIT_HAVE_LIBEDIT,
# TRIT_HAVE_MPI, TRIT_HAVE_CMOCKA; the interface library trit_dependencies carries what the library's sources need to
# compile, trit_link_libraries and trit_pkgconfig_requires what it needs to link.
#
# SPDX-License-Identifier: MIT
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(PkgConfig QUIET)

set(trit_features "")
# trit_find(NAME pkg-config-module option debian-package what it is for)
function(trit_find name module wanted package purpose)
	set(found FALSE)
	if(wanted AND PkgConfig_FOUND)
		pkg_check_modules(${name} QUIET IMPORTED_TARGET GLOBAL ${module})
		set(found ${${name}_FOUND})
	endif()
	if(found)
		set(TRIT_HAVE_${name} TRUE PARENT_SCOPE)
		set(line "on   ${module} ${${name}_VERSION}: ${purpose}")
	elseif(wanted)
		set(TRIT_HAVE_${name} FALSE PARENT_SCOPE)
		set(line "off  ${module}: ${purpose} - turn it on with: apt-get install ${package}")
		if(NOT PkgConfig_FOUND)
			string(APPEND line " pkg-config")
		endif()
	else()
		set(TRIT_HAVE_${name} FALSE PARENT_SCOPE)
		set(line "off  ${module}: ${purpose} - turn it on with: cmake -DTRIT_${name}=ON")
	endif()
	set(trit_features ${trit_features} ${line} PARENT_SCOPE)
endfunction()

trit_find(PCRE2 libpcre2-8 "${TRIT_PCRE2}" libpcre2-dev "tokenizers that split text by regular expressions")
trit_find(JANSSON jansson "${TRIT_JANSSON}" libjansson-dev "JSON: tokenizer.json, config.json")
trit_find(UTF8PROC libutf8proc "${TRIT_UTF8PROC}" libutf8proc-dev "Unicode: WordPiece, normalisation of text")
trit_find(ZLIB zlib "${TRIT_ZLIB}" zlib1g-dev "training text packed with gzip")
trit_find(ZSTD libzstd "${TRIT_ZSTD}" libzstd-dev "training text packed with zstd")
trit_find(LIBEDIT libedit "${TRIT_LIBEDIT}" libedit-dev "line editing and history in trit chat")
trit_find(MPI ompi-c "${TRIT_MPI}" "libopenmpi-dev openmpi-bin" "training on several machines")
if(TRIT_TESTS)
	trit_find(CMOCKA cmocka ON libcmocka-dev "unit tests")
endif()

add_library(trit_dependencies INTERFACE)
set(trit_link_libraries "")
set(trit_pkgconfig_requires "")
foreach(name IN ITEMS PCRE2 JANSSON UTF8PROC ZLIB ZSTD)
	if(TRIT_HAVE_${name})
		target_compile_definitions(trit_dependencies INTERFACE TRIT_HAVE_${name}=1)
		target_link_libraries(trit_dependencies INTERFACE PkgConfig::${name})
		list(APPEND trit_link_libraries PkgConfig::${name})
		list(APPEND trit_pkgconfig_requires ${${name}_MODULE_NAME})
	endif()
endforeach()

function(trit_print_features)
	message(STATUS "Trit ${PROJECT_VERSION}, ${CMAKE_BUILD_TYPE}, ${CMAKE_SYSTEM_PROCESSOR}, "
		"${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION}")
	foreach(line IN LISTS trit_features)
		message(STATUS "  ${line}")
	endforeach()
endfunction()
