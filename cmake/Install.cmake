# Install.cmake - what `make install` puts where: library, header, program, trit.pc, the CMake package, the man page.
#
# SPDX-License-Identifier: MIT
include(CMakePackageConfigHelpers)
set(trit_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Trit)

# A static library cannot name the libraries it needs itself, so its users' link lines must: there they are public.
list(JOIN trit_pkgconfig_requires " " TRIT_PC_MODULES)
if(BUILD_SHARED_LIBS)
	set(TRIT_PC_REQUIRES "Requires.private: ${TRIT_PC_MODULES}")
	set(TRIT_PC_LIBS "-ltrit\nLibs.private: -lm -pthread")
else()
	set(TRIT_PC_REQUIRES "Requires: ${TRIT_PC_MODULES}")
	set(TRIT_PC_LIBS "-ltrit -lm -pthread")
endif()
# The prefix relative to the file, so that an installed tree can be moved.
file(RELATIVE_PATH TRIT_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/trit.pc.in trit.pc @ONLY)

set(TRIT_PACKAGE_MODULES "")
if(NOT BUILD_SHARED_LIBS)
	foreach(name IN ITEMS PCRE2 JANSSON UTF8PROC ZLIB ZSTD)
		if(TRIT_HAVE_${name})
			list(APPEND TRIT_PACKAGE_MODULES ${name}:${${name}_MODULE_NAME})
		endif()
	endforeach()
endif()
configure_package_config_file(cmake/TritConfig.cmake.in TritConfig.cmake INSTALL_DESTINATION ${trit_package_dir})
write_basic_package_version_file(TritConfigVersion.cmake COMPATIBILITY SameMinorVersion)
configure_file(docs/trit.1 trit.1 @ONLY)

install(TARGETS libtrit EXPORT TritTargets
	ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
	LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
	PUBLIC_HEADER DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(TARGET trit)
	install(TARGETS trit RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(EXPORT TritTargets NAMESPACE Trit:: DESTINATION ${trit_package_dir})
install(FILES ${PROJECT_BINARY_DIR}/TritConfig.cmake ${PROJECT_BINARY_DIR}/TritConfigVersion.cmake
	DESTINATION ${trit_package_dir})
install(FILES ${PROJECT_BINARY_DIR}/trit.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${PROJECT_BINARY_DIR}/trit.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
